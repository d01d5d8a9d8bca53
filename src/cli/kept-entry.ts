import { setTimeout as pause } from 'node:timers/promises';
import {
  type AttachmentKeeper,
  type Carrier,
  type Endpoint,
  exposeTcp,
  exposeUdp,
  forwardTcp,
  forwardUdp,
  type KeeperStatus,
  UdpForward,
} from '../terminal/index.ts';
import { endpointText, localFailure } from './endpoint-text.ts';
import { pathSentence } from './keeper.ts';
import { carrierWords } from './path-words.ts';
import type { UpEntry } from './up-file.ts';

/** How an entry stands. `up`: who comes is served now; with `suspended` what is open waits, and who comes waits with it. */
export type EntryState = 'opening' | 'up' | 'suspended' | 'waiting' | 'failing';

/** What is told of an entry whenever it changes. */
export interface EntryStatus {
  readonly state: EntryState;
  /** Where it listens: here for a forward, on the mediator for an expose; undefined when it does not. */
  readonly at: Endpoint | undefined;
  /** What carries UDP's datagrams, once known. */
  readonly channel?: Carrier | undefined;
  /** One clause for people. */
  readonly text: string;
}

/** What an entry tells. */
export interface EntryHandlers {
  onStatus(status: EntryStatus): void;
  /** A connection or datagram that could not be served. */
  onRefused(from: Endpoint, error: Error): void;
}

/** A local port that is taken may be given up; an expose that is refused may be allowed later. */
const retryMs = 10_000;

/** A forward or expose that is kept for ever: what keeps it from being up is told and tried again. */
export class KeptEntry {
  private readonly entry: UpEntry;
  private readonly source: AttachmentKeeper;
  private readonly handlers: EntryHandlers;
  private readonly stopping = new AbortController();
  private opened: { close(): unknown } | undefined;
  private path: KeeperStatus | undefined;
  private at: Endpoint | undefined;
  private failure: string | undefined;
  /** Of UDP, as far as known. */
  private channel: Carrier | undefined;

  /** Begins at once. */
  constructor(entry: UpEntry, source: AttachmentKeeper, handlers: EntryHandlers) {
    this.entry = entry;
    this.source = source;
    this.handlers = handlers;
    source.on('status', status => this.onPath(status));
    if (entry.kind === 'forward') void this.keepForward();
    else this.expose();
  }

  /** Listens no more. */
  close(): void {
    this.stopping.abort();
    this.opened?.close();
  }

  private onPath(status: KeeperStatus): void {
    this.path = status;
    this.tell();
  }

  private async keepForward(): Promise<void> {
    while (!this.stopping.signal.aborted) {
      try {
        return await this.forward();
      } catch (thrown) {
        this.fail(localFailure(thrown, this.entry.spec.listen));
        await pause(retryMs, undefined, { signal: this.stopping.signal }).catch(() => {});
      }
    }
  }

  private async forward(): Promise<void> {
    const { protocol, listen, target } = this.entry.spec;
    const open = protocol === 'tcp' ? forwardTcp : forwardUdp;
    const opened = await open({ source: this.source, listen, target });
    if (opened instanceof UdpForward) opened.on('channel', channel => this.onChannel(channel));
    opened.on('refused', ({ client, error }) => this.handlers.onRefused(client, error));
    if (this.stopping.signal.aborted) return void opened.close();
    this.opened = opened;
    this.at = opened.address();
    this.failure = undefined;
    this.tell();
  }

  private expose(): void {
    const { protocol, target, listen } = this.entry.spec;
    const { host, port } = listen;
    const exposed = (protocol === 'tcp' ? exposeTcp : exposeUdp)({
      source: this.source,
      listen: host === undefined ? { port } : { address: host, port },
      target,
    });
    this.opened = exposed;
    exposed.on('listening', at => {
      this.at = at;
      this.failure = undefined;
      this.tell();
    });
    exposed.on('channel', channel => this.onChannel(channel));
    exposed.on('refused', ({ device, error }) => this.handlers.onRefused(device, error));
    exposed.on('retrying', error => this.fail(error));
    exposed.on('failed', error => {
      this.fail(error);
      exposed.close();
      const retry = pause(retryMs, undefined, { signal: this.stopping.signal });
      void retry.then(() => this.expose()).catch(() => {});
    });
  }

  private onChannel(channel: Carrier): void {
    this.channel = channel;
    this.tell();
  }

  private fail(thrown: unknown): void {
    this.at = undefined;
    this.failure = thrown instanceof Error ? thrown.message : String(thrown);
    this.tell();
  }

  private tell(): void {
    if (!this.stopping.signal.aborted) this.handlers.onStatus(this.status);
  }

  private get status(): EntryStatus {
    const { at, path, failure } = this;
    if (failure !== undefined) return { state: 'failing', at, text: `failing: ${failure}` };
    if (path?.state === 'suspended') return { state: 'suspended', at, text: pathSentence(path) };
    if (path?.state === 'waiting' || path?.state === 'retrying' || path?.state === 'ended')
      return { state: 'waiting', at: this.listeningHere, text: pathSentence(path) };
    if (path === undefined || at === undefined) return { state: 'opening', at, text: 'opening' };
    const carrier = this.channel === undefined ? '' : `, datagrams go ${carrierWords[this.channel]}`;
    return { state: 'up', at, channel: this.channel, text: `up on ${endpointText(at)}${carrier}` };
  }

  /** What is exposed is not while there is no attachment; a forward listens all the same. */
  private get listeningHere(): Endpoint | undefined {
    return this.entry.kind === 'forward' ? this.at : undefined;
  }
}
