import type { Clock } from '../base/clock.ts';
import { LifetimeTrial, type TrialOutcome } from './lifetime-trial.ts';

/**
 * How long a UDP binding lives on this path, learned (P8.3): silences of rising length are tried on bindings made for
 * the purpose, each until two trials agree. What was found is kept for the path and halved when it proves wrong.
 *
 *     default --start()--> learning --rung rejected, or cap--> learned --binding lost--> halved
 *        ^                    └──too many unclear──> unclear ──┐                           │
 *        └────── the path changes: forget() ───────            └──after a while: learning <┘
 */

/** The silences that are tried and what is made of them, in milliseconds. */
export interface LadderPlan {
  /** Tried only when the first rung is rejected. */
  readonly lowRungMs: number;
  readonly rungsMs: readonly number[];
  readonly defaultMs: number;
  readonly floorMs: number;
}

/**
 * Two seconds below the lifetimes that boxes have (30, 60, 90, 120, 180, 240 s), for round trip and timers. `unitMs`: what
 * stands for a second; tests have shorter ones.
 */
export function ladderPlan(unitMs = 1_000): LadderPlan {
  return {
    lowRungMs: 19 * unitMs,
    rungsMs: [28, 58, 88, 118, 178, 238].map(seconds => seconds * unitMs),
    defaultMs: 25 * unitMs,
    floorMs: 15 * unitMs,
  };
}

/** Of the longest silence that held, how much is used. */
const usedShare = 0.8;

/** Trials that must agree on a rung, and that run side by side. */
const agreeing = 2;

/** Unclear trials of a rung, beyond which the path is too bad to learn from. */
const maxUnclear = 6;

/** When what was learned is tried anew, and when what could not be learned, or was wrong, is. */
const settledMs = 7 * 24 * 3_600_000;
const unsettledMs = 24 * 3_600_000;

/** Where the value in force comes from. */
export type LifetimeOrigin = 'default' | 'learning' | 'learned' | 'halved' | 'unclear';

/** What is known of a path, as it is kept and shown. Silences in milliseconds. */
export interface PathKnowledge {
  readonly origin: LifetimeOrigin;
  readonly keepaliveMs: number;
  /** The longest silence that held, and the shortest that did not. */
  readonly heldMs?: number;
  readonly expiredMs?: number;
  /** When it was settled, ms since 1970. */
  readonly atMs?: number;
}

/** What the learner needs. */
export interface PathLifetimeOptions {
  readonly clock: Clock;
  readonly plan: LadderPlan;
  /** Sends an ECHO-AFTER from a spare place, which is made when first named. */
  ask(place: number, id: number, afterMs: number): void;
  /** The place is of no use any more. */
  drop(place: number): void;
  /** {@link PathLifetime.knowledge} has changed. `settled`: it is worth keeping. */
  onChange(settled: boolean): void;
}

interface Rung {
  readonly silenceMs: number;
  readonly outcomes: Record<TrialOutcome, number>;
}

/** See the head of this file. */
export class PathLifetime {
  /** ECHO-AFTERs that were sent. */
  askedCount = 0;
  private readonly options: PathLifetimeOptions;
  private known: PathKnowledge;
  private readonly trials = new Map<number, LifetimeTrial>();
  private rung: Rung | undefined;
  private nextPlace = 1;
  private nextId = 1;
  private losses = 0;
  private running = false;
  private cancelNext = () => {};

  constructor(options: PathLifetimeOptions) {
    this.options = options;
    this.known = { origin: 'default', keepaliveMs: options.plan.defaultMs };
  }

  /** What is known now. */
  get knowledge(): PathKnowledge {
    return this.known;
  }

  /** How long the member may be silent on a channel of this path. */
  get keepaliveMs(): number {
    return this.known.keepaliveMs;
  }

  /** Questions can be asked from now on. `remembered`: of this very path. */
  start(remembered?: PathKnowledge): void {
    this.running = true;
    if (remembered !== undefined && this.known.origin === 'default') this.known = remembered;
    if (this.rung !== undefined) return this.startTrials();
    this.cancelNext();
    const dueInMs = this.dueInMs();
    if (dueInMs <= 0) this.climb(undefined);
    else this.cancelNext = this.options.clock.after(dueInMs, () => this.climb(undefined));
  }

  /** Nobody answers for the time being; a rung that was begun is tried again later. */
  pause(): void {
    this.running = false;
    this.cancelNext();
    this.dropTrials();
  }

  /** The path has changed: nothing is known of the new one. */
  forget(): void {
    this.pause();
    this.rung = undefined;
    this.losses = 0;
    this.set({ origin: 'default', keepaliveMs: this.options.plan.defaultMs }, true);
  }

  /** An ECHO has come to a spare place. */
  onEcho(place: number, id: number): void {
    this.trials.get(place)?.onEcho(id);
  }

  /** A binding was lost that keepalives should have kept, and nothing explains it: half, and after another the floor. */
  onBindingLost(): void {
    const { plan, clock } = this.options;
    // Shorter it does not get: a NAT for which that is too long costs a binding each time, and nothing is written.
    if (this.known.origin === 'halved' && this.keepaliveMs <= plan.floorMs) return;
    this.losses++;
    this.dropTrials();
    this.rung = undefined;
    const half = this.losses > 1 ? plan.floorMs : this.known.keepaliveMs / 2;
    const keepaliveMs = Math.max(plan.floorMs, half);
    this.set(
      { origin: 'halved', keepaliveMs, expiredMs: this.known.keepaliveMs, atMs: clock.wallTimeMs() },
      true,
    );
    if (this.running) this.start();
  }

  private dueInMs(): number {
    const { origin, atMs = 0 } = this.known;
    if (origin === 'default' || origin === 'learning') return 0;
    const ageMs = Math.max(0, this.options.clock.wallTimeMs() - atMs);
    return (origin === 'learned' ? settledMs : unsettledMs) - ageMs;
  }

  private set(known: PathKnowledge, settled: boolean): void {
    this.known = known;
    this.options.onChange(settled);
  }

  /** The next rung above `heldMs`, or the first. */
  private climb(heldMs: number | undefined): void {
    const { plan } = this.options;
    const silenceMs = plan.rungsMs.find(each => each > (heldMs ?? 0));
    if (silenceMs === undefined) return this.settle(heldMs, undefined);
    // Until there is an end to it what was in force stays so, unless longer silences hold.
    const keepaliveMs = Math.max(this.keepaliveMs, usedShare * (heldMs ?? 0));
    const held = heldMs === undefined ? {} : { heldMs };
    this.set({ origin: 'learning', keepaliveMs, ...held }, false);
    this.begin(silenceMs);
  }

  private begin(silenceMs: number): void {
    this.rung = { silenceMs, outcomes: { held: 0, expired: 0, unclear: 0 } };
    this.startTrials();
  }

  private startTrials(): void {
    if (this.rung === undefined || !this.running) return;
    const { held, expired } = this.rung.outcomes;
    for (let missing = agreeing - Math.max(held, expired) - this.trials.size; missing > 0; missing -= 1)
      this.startTrial(this.rung);
  }

  private startTrial({ silenceMs }: Rung): void {
    const { clock, ask } = this.options;
    const place = this.nextPlace++;
    const trial = new LifetimeTrial({
      clock,
      silenceMs,
      ask: afterMs => {
        const id = this.nextId++;
        this.askedCount++;
        ask(place, id, afterMs);
        return id;
      },
      onOutcome: outcome => this.onOutcome(place, outcome),
    });
    this.trials.set(place, trial);
  }

  private onOutcome(place: number, outcome: TrialOutcome): void {
    this.trials.delete(place);
    this.options.drop(place);
    const { rung } = this;
    if (rung === undefined) return;
    rung.outcomes[outcome]++;
    const { held, expired, unclear } = rung.outcomes;
    if (held < agreeing && expired < agreeing && unclear < maxUnclear) return this.startTrials();
    this.dropTrials();
    this.rung = undefined;
    if (held >= agreeing) this.onHeld(rung.silenceMs);
    else if (expired >= agreeing) this.onExpired(rung.silenceMs);
    else this.settle(this.known.heldMs, undefined, 'unclear');
  }

  private onHeld(silenceMs: number): void {
    const { lowRungMs, rungsMs } = this.options.plan;
    if (silenceMs === lowRungMs) this.settle(silenceMs, rungsMs[0]);
    else this.climb(silenceMs);
  }

  private onExpired(silenceMs: number): void {
    const { lowRungMs } = this.options.plan;
    if (this.known.heldMs === undefined && silenceMs !== lowRungMs) this.begin(lowRungMs);
    else this.settle(this.known.heldMs, silenceMs);
  }

  private settle(
    heldMs: number | undefined,
    expiredMs: number | undefined,
    origin: 'learned' | 'unclear' = 'learned',
  ): void {
    const { plan, clock } = this.options;
    const longest = heldMs ?? (origin === 'learned' ? 0 : plan.defaultMs / usedShare);
    const keepaliveMs = Math.max(plan.floorMs, usedShare * longest);
    if (origin === 'learned') this.losses = 0;
    const ends = {
      ...(heldMs === undefined ? {} : { heldMs }),
      ...(expiredMs === undefined ? {} : { expiredMs }),
    };
    this.set({ origin, keepaliveMs, ...ends, atMs: clock.wallTimeMs() }, true);
    if (this.running) this.start();
  }

  private dropTrials(): void {
    for (const [place, trial] of this.trials) {
      trial.cancel();
      this.options.drop(place);
    }
    this.trials.clear();
  }
}
