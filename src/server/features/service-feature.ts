import { asEntremiseError, EntremiseError } from '../../base/errors.ts';
import { SparingLog } from '../../base/sparing-log.ts';
import { type Mediator, wantedParameters } from '../../terminal/index.ts';
import type { Declared } from '../declared/declarations.ts';
import { leastIdleS } from '../declared/parts.ts';
import {
  isDeclaredFor,
  type StandingService,
  type StandingServiceText,
  standingServiceText,
} from '../declared/standing-service.ts';
import type { TokenBounds } from '../declared/token-bounds.ts';
import { StandingPort, type StandingWay } from '../services/standing-port.ts';
import { StandingTcp } from '../services/standing-tcp.ts';
import { StandingUdp } from '../services/standing-udp.ts';
import { Coalesced } from './coalesced.ts';
import { type DeclaredState, stateOf } from './feature-attachments.ts';
import { FeatureHost, type FeatureHostOptions, type RunningFeature } from './feature-host.ts';
import { type AskRelay, askOnce, countStates, type DeclaredFigures, EndedFlows } from './flow.ts';

/** Standing services (P7.6): kept applied to every mediator that wants them or is one of those that they are declared for. */

/** A mediator by the operator's word. */
export interface KnownMediator {
  readonly name: string;
  readonly labels: readonly string[];
}

/** How a service stands on one mediator. */
export type AppliedStatus = { readonly mediator: string; readonly devices?: number } & DeclaredState;

/** How a service stands. */
export type ServiceStatus = {
  readonly declaredBy: string;
  /** Why it stands on no mediator at all. */
  readonly problem?: string;
  readonly mediators: readonly AppliedStatus[];
} & StandingServiceText;

/** What the feature needs. */
export interface ServiceFeatureOptions extends Omit<FeatureHostOptions, 'name'> {
  /** The mediators there are, whoever may know of them: what is not granted is told as refused. */
  knownMediators(): readonly KnownMediator[];
  readonly bounds: Pick<TokenBounds, 'ofService' | 'basisOf'>;
}

interface Asked {
  readonly report: Mediator['report'];
  readonly refusal: EntremiseError | undefined;
}

interface Entry {
  readonly declared: Declared<StandingService>;
  readonly spec: string;
  readonly ports: Map<string, StandingPort>;
  readonly refused: Map<string, EntremiseError>;
  /** Whether its token may have it there, by what the mediator had reported. */
  readonly asked: Map<string, Asked>;
  /** What that rests on. */
  basis: string | undefined;
  /** How it stood on a mediator when that was logged last. */
  readonly told: Map<string, string>;
}

type NamedMediator = Mediator & { readonly name: string };

function isNamed(mediator: Mediator): mediator is NamedMediator {
  return mediator.verified && mediator.name !== undefined;
}

/** See the head of this file. */
export class ServiceFeature {
  private readonly options: ServiceFeatureOptions;
  private readonly host: FeatureHost;
  private readonly entries = new Map<string, Entry>();
  private readonly ended = new EndedFlows();
  private readonly look: Coalesced;

  constructor(options: ServiceFeatureOptions) {
    this.options = options;
    this.look = new Coalesced(options.clock, () => this.onChange());
    this.host = new FeatureHost({ ...options, name: 'service', onChange: () => this.look.soon() });
  }

  private onChange(): void {
    for (const entry of this.entries.values()) this.apply(entry);
    for (const entry of this.entries.values()) this.tellChanges(entry);
    this.options.onChange();
  }

  /** Makes it so: what is there already, the same, is not touched. */
  reconcile(declared: readonly Declared<StandingService>[]): void {
    const wanted = new Map(declared.map(each => [each.value.name, each]));
    for (const [name, entry] of [...this.entries]) {
      const next = wanted.get(name);
      if (next === undefined || specOf(next) !== entry.spec) this.end(name, entry);
    }
    for (const [name, each] of wanted) {
      if (this.entries.has(name)) continue;
      const entry: Entry = {
        declared: each,
        spec: specOf(each),
        ports: new Map(),
        refused: new Map(),
        asked: new Map(),
        basis: undefined,
        told: new Map(),
      };
      this.entries.set(name, entry);
      this.apply(entry);
    }
    if (wanted.size > 0) this.host.begin();
    this.look.soon();
  }

  private end(name: string, { ports }: Entry): void {
    this.entries.delete(name);
    for (const port of ports.values()) this.closePort(port);
    ports.clear();
  }

  /** The mediators that it is for now, begun where it was not, ended where it is no more. */
  private apply(entry: Entry): void {
    const { running } = this.host;
    if (running === undefined) return;
    const { value } = entry.declared;
    const known = running.terminal.mediators().filter(isNamed);
    const wanted = new Map(
      known
        .filter(
          each =>
            isDeclaredFor(value, each) || (value.wanted && wantedParameters(each, value.name) !== undefined),
        )
        .map(each => [each.name, each]),
    );
    // While there is no link nobody is known; that ends nothing.
    if (running.terminal.state.connected) {
      for (const [name, port] of entry.ports) if (!wanted.has(name)) this.endOn(entry, name, port);
      for (const name of [...entry.refused.keys()]) if (!wanted.has(name)) entry.refused.delete(name);
    }
    for (const [name, mediator] of wanted) {
      const [refusal, port] = [this.refusalOn(entry, mediator), entry.ports.get(name)];
      if (refusal === undefined) {
        if (port === undefined) this.beginOn(entry, name, running);
        continue;
      }
      if (port !== undefined) this.endOn(entry, name, port);
      entry.refused.set(name, refusal);
    }
  }

  /** Asked again when the mediator tells of itself otherwise, and with {@link recheck}. */
  private refusalOn({ declared, asked }: Entry, { name, report }: NamedMediator): EntremiseError | undefined {
    const before = asked.get(name);
    if (before !== undefined && before.report === report) return before.refusal;
    const refusal = this.options.bounds.ofService(declared, name, report);
    asked.set(name, { report, refusal });
    return refusal;
  }

  /** Ends what the tokens that have declared it may have no more, and begins what they may have again. */
  recheck(): void {
    for (const entry of this.entries.values()) {
      const basis = this.options.bounds.basisOf(entry.declared.declaredBy);
      if (basis === entry.basis) continue;
      entry.basis = basis;
      entry.asked.clear();
      this.look.soon();
    }
  }

  private endOn({ ports }: Entry, name: string, port: StandingPort): void {
    ports.delete(name);
    this.closePort(port);
  }

  private closePort(port: StandingPort): void {
    this.ended.add(port, port.flow(this.askRelay()));
    port.close();
  }

  private askRelay(): AskRelay {
    return askOnce(this.host.running?.side?.relay);
  }

  /** How all of them stand, in figures. */
  figures(): DeclaredFigures {
    const entries = [...this.entries.values()];
    const ports = entries.flatMap(each => [...each.ports.values()]);
    const tcp = ports.reduce((sum, { devices = 0 }) => sum + devices, 0);
    const states = countStates(entries.flatMap(each => this.appliedTo(each)));
    return { states, peers: { tcp }, flows: this.ended.with(ports, this.askRelay()) };
  }

  private beginOn(
    { declared: { value }, ports, refused }: Entry,
    name: string,
    running: RunningFeature,
  ): void {
    try {
      const way = this.wayOf(value, running);
      const lease = running.attachments.use(name);
      const { clock } = this.options;
      const onChange = () => this.look.soon();
      ports.set(name, new StandingPort({ service: value, lease, way, clock, onChange }));
      refused.delete(name);
    } catch (thrown) {
      refused.set(name, asEntremiseError(thrown));
    }
  }

  private wayOf(service: StandingService, { side }: RunningFeature): StandingWay {
    const { clock, log } = this.options;
    const { protocol, to, peers, newPeersPerSecond, idleS = leastIdleS } = service;
    const limits = { maxPeers: peers, peersPerSecond: newPeersPerSecond };
    if (protocol === 'tcp') {
      const sparing = new SparingLog({ log, clock, lines: 10, withinMs: 60_000 });
      return new StandingTcp({ target: to, ...limits, clock, log: sparing });
    }
    if (side === undefined)
      throw new EntremiseError('environment-unfit', { message: 'There is no UDP at the service port.' });
    const target = { address: to.host, number: to.number };
    return new StandingUdp(side, { service: target, ...limits, idleMs: idleS * 1000 });
  }

  /** How each stands, and where. */
  status(): ServiceStatus[] {
    return [...this.entries.values()].map(entry => {
      const { value, declaredBy } = entry.declared;
      const { failure } = this.host;
      const problem = failure === undefined ? {} : { problem: failure.message };
      return { ...standingServiceText(value), declaredBy, ...problem, mediators: this.appliedTo(entry) };
    });
  }

  private appliedTo({ declared: { value }, ports, refused }: Entry): AppliedStatus[] {
    const rows = new Map<string, AppliedStatus>();
    const named = value.mediator === undefined ? [] : [{ name: value.mediator, labels: [] }];
    const known = this.options.knownMediators();
    for (const each of [...named, ...known.filter(mediator => isDeclaredFor(value, mediator))])
      rows.set(each.name, { mediator: each.name, ...this.withoutGrant(each.name, known) });
    for (const [mediator, error] of refused) rows.set(mediator, { mediator, ...stateOf(error) });
    for (const [mediator, { state, devices }] of ports)
      rows.set(mediator, { mediator, ...state, ...(devices === undefined ? {} : { devices }) });
    return [...rows.values()].sort((a, b) => a.mediator.localeCompare(b.mediator));
  }

  /** Of a mediator that the feature's terminal does not know of. */
  private withoutGrant(name: string, known: readonly KnownMediator[]): DeclaredState {
    const { failure, running } = this.host;
    if (failure !== undefined) return stateOf(failure);
    if (running?.terminal.state.connected !== true)
      return { state: 'pending', code: 'server-unreachable', reason: 'It begins.' };
    if (known.some(each => each.name === name))
      return {
        state: 'refused',
        code: 'grant-missing',
        reason: `No grant of the feature "service" names ${name}.`,
      };
    return { state: 'refused', code: 'no-such-mediator', reason: `No mediator is called ${name}.` };
  }

  /** In the log, what stands otherwise than it was told last. */
  private tellChanges(entry: Entry): void {
    const { name: service } = entry.declared.value;
    for (const { mediator, devices: _, ...state } of this.appliedTo(entry)) {
      const text = JSON.stringify(state);
      if (entry.told.get(mediator) === text) continue;
      entry.told.set(mediator, text);
      this.options.log.info({ ...state, service, mediator }, 'standing service');
    }
  }

  /** Ends all of them, and the terminal. */
  async close(): Promise<void> {
    this.look.close();
    for (const [name, entry] of [...this.entries]) this.end(name, entry);
    await this.host.close();
  }
}

function specOf({ value }: Declared<StandingService>): string {
  return JSON.stringify(standingServiceText(value));
}
