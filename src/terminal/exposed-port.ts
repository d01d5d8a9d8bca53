import { EventEmitter } from 'node:events';
import type { Carrier } from '../wire/messages/shared.ts';
import type { AttachmentKeeper } from './attachment-keeper.ts';
import { isFinal } from './final-reasons.ts';
import type { Endpoint } from './forward-tcp.ts';
import { lanAddress } from './lan-address.ts';
import type { MediatorAttachment } from './mediator-attachment.ts';
import { pause } from './pause.ts';
import { reasonOf, tunnelError } from './tunnel-error.ts';

/** What is exposed where. */
export interface ExposeOptions {
  readonly source: AttachmentKeeper;
  /** On the mediator: the address (that of the owner's LAN when absent) and the number. */
  readonly listen: { readonly address?: string; readonly port: number };
  /** Here: address or name, and number. */
  readonly target: Endpoint;
}

/** The events of an exposed port. */
export interface ExposedPortEvents {
  /** It is reachable on the mediator, at this address and number. */
  listening: [at: Endpoint];
  /** What carries a UDP port's datagrams from now on; first right behind `listening`. */
  channel: [channel: Carrier];
  /** A device could not be served: the local target did not answer. */
  refused: [refusal: { readonly device: Endpoint; readonly error: Error }];
  /** It could not be opened, and another try follows. */
  retrying: [error: Error];
  /** It cannot be opened, and no other try would help. */
  failed: [error: Error];
  close: [];
}

/** Something that is open on the mediator until it closes. */
export interface OpenedPort {
  readonly at: Endpoint;
  /** What carries its datagrams; undefined for TCP. */
  readonly channel?: Carrier;
  /** Resolves when it is open no more. */
  readonly closed: Promise<void>;
  close(): void;
}

/** How to open it on an attachment. */
export type OpenOnMediator = (
  attachment: MediatorAttachment,
  at: { readonly address: string; readonly port: number },
) => Promise<OpenedPort>;

const retryMs = 2_000;

/**
 * A port of the mediator that leads to a service of this machine (ssh -R). Opened on every attachment that its keeper
 * makes: until the last one's end has reached the mediator its number may still be taken, so it is tried again.
 */
export class ExposedPort extends EventEmitter<ExposedPortEvents> {
  private readonly options: ExposeOptions;
  private readonly open: OpenOnMediator;
  private readonly stopping = new AbortController();
  private readonly leaveSource: () => void;
  private opened: OpenedPort | undefined;

  /** Use exposeTcp or exposeUdp. */
  constructor(options: ExposeOptions, open: OpenOnMediator) {
    super();
    this.options = options;
    this.open = open;
    this.leaveSource = options.source.each(attachment => void this.keepOpen(attachment));
  }

  /** Where it is reachable now, if it is. */
  address(): Endpoint | undefined {
    return this.opened?.at;
  }

  /** What carries a UDP port's datagrams now; undefined for TCP, and while it is not open. */
  get channel(): Carrier | undefined {
    return this.opened?.channel;
  }

  private get over(): boolean {
    return this.stopping.signal.aborted;
  }

  private async keepOpen(attachment: MediatorAttachment): Promise<void> {
    while (!this.over && !attachment.closed) {
      try {
        await this.openOnce(attachment);
      } catch (thrown) {
        if (this.over || attachment.closed) return;
        const error = tunnelError(thrown);
        if (isFinal(error) || reasonOf(error) === 'address-not-available')
          return void this.emit('failed', error);
        this.emit('retrying', error);
        await pause(this.options.source.clock, retryMs, this.stopping.signal).catch(() => {});
      }
    }
  }

  private async openOnce(attachment: MediatorAttachment): Promise<void> {
    const { source, listen } = this.options;
    const address = listen.address ?? lanAddress(source.mediator?.report, source.mediatorName);
    const opened = await this.open(attachment, { address, port: listen.port });
    if (this.over) return opened.close();
    this.opened = opened;
    this.emit('listening', opened.at);
    if (opened.channel !== undefined) this.emit('channel', opened.channel);
    await opened.closed;
    this.opened = undefined;
  }

  /** Closes it on the mediator; connections that are open go on. */
  close(): void {
    if (this.over) return;
    this.stopping.abort();
    this.leaveSource();
    this.opened?.close();
    this.emit('close');
  }
}
