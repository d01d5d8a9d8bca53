import type { Clock } from '../../base/clock.ts';
import { lanAddress, type MediatorAttachment } from '../../terminal/index.ts';
import type { StandingService } from '../declared/standing-service.ts';
import { type AttachmentLease, type DeclaredState, stateOf } from '../features/feature-attachments.ts';
import type { AskRelay, Flow } from '../features/flow.ts';

/**
 * A standing service on one mediator (P7.6): its port there, opened on every attachment and again whenever it is closed or
 * could not be had. What its protocol is knows {@link StandingWay}.
 */

/** How soon a port that could not be had is asked for again, and at the longest. */
const firstRetryMs = 1_000;
const longestRetryMs = 30_000;

/** A port of the mediator that is open. */
export interface StandingOpened {
  /** Resolves when it is open no more. */
  readonly closed: Promise<void>;
  close(): void;
}

/** How devices' bytes go between a port of the mediator and the plain server. */
export interface StandingWay {
  /** @throws TunnelError as OPEN, LISTEN and REDIRECT */
  open(
    attachment: MediatorAttachment,
    at: { readonly address: string; readonly number: number },
  ): Promise<StandingOpened>;
  /** Devices there are now. */
  readonly devices: number | undefined;
  /** What has gone through it, the mediators' side being the LAN. */
  flow(relay: AskRelay): Flow;
  close(): void;
}

/** What a standing port is made of. */
export interface StandingPortOptions {
  readonly service: StandingService;
  readonly lease: AttachmentLease;
  readonly way: StandingWay;
  readonly clock: Clock;
  /** It stands otherwise. */
  onChange(): void;
}

const opening: DeclaredState = { state: 'pending', code: 'port-closed', reason: 'Its port is being opened.' };

/** See the head of this file. */
export class StandingPort {
  private readonly options: StandingPortOptions;
  private readonly leave: () => void;
  private opened: StandingOpened | undefined;
  private ownState: DeclaredState = opening;
  private cancelRetry = () => {};
  private closed = false;

  constructor(options: StandingPortOptions) {
    this.options = options;
    this.leave = options.lease.keeper.each(attachment => void this.apply(attachment, firstRetryMs));
  }

  /** Applied only where the mediator is there, too. */
  get state(): DeclaredState {
    const { state } = this.options.lease;
    return state.state === 'applied' ? this.ownState : state;
  }

  /** Devices there are now, where that is known. */
  get devices(): number | undefined {
    return this.options.way.devices;
  }

  get protocol(): 'tcp' | 'udp' {
    return this.options.service.protocol;
  }

  /** What has gone through it. */
  flow(relay: AskRelay): Flow {
    return this.options.way.flow(relay);
  }

  private async apply(attachment: MediatorAttachment, retryMs: number): Promise<void> {
    this.cancelRetry();
    const { way, service, lease } = this.options;
    try {
      const { address, number } = service.at;
      const { mediator, mediatorName } = lease.keeper;
      const own = address === 'lan' ? lanAddress(mediator?.report, mediatorName) : address;
      const opened = await way.open(attachment, { address: own, number });
      if (this.closed) return opened.close();
      this.take(opened, attachment);
    } catch (thrown) {
      if (attachment.closed || this.closed) return;
      this.become(stateOf(thrown));
      this.retry(attachment, retryMs);
    }
  }

  private take(opened: StandingOpened, attachment: MediatorAttachment): void {
    this.opened = opened;
    this.become({ state: 'applied' });
    void opened.closed.then(() => {
      this.opened = undefined;
      if (this.closed) return;
      this.become(opening);
      this.retry(attachment, firstRetryMs);
    });
  }

  private retry(attachment: MediatorAttachment, afterMs: number): void {
    if (attachment.closed || this.closed) return;
    const nextMs = Math.min(2 * afterMs, longestRetryMs);
    this.cancelRetry = this.options.clock.after(afterMs, () => void this.apply(attachment, nextMs));
  }

  private become(state: DeclaredState): void {
    if (JSON.stringify(state) === JSON.stringify(this.ownState)) return;
    this.ownState = state;
    this.options.onChange();
  }

  /** Ends it: the mediator's port, and what goes through it. */
  close(): void {
    this.closed = true;
    this.cancelRetry();
    this.leave();
    this.opened?.close();
    this.options.way.close();
    this.options.lease.release();
  }
}
