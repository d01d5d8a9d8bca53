import type { Clock } from '../base/clock.ts';
import type { EntremiseError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Transport } from '../transport/transport.ts';
import type { Frame } from '../wire/frame.ts';

/** What the owner of a link is told. */
export interface LinkHandlers {
  /** A frame other than PING, PONG and GOAWAY. A throw closes the link with the error's code. */
  onFrame(frame: Frame): void;
  /**
   * GOAWAY was said or heard, once: no frame comes or goes any more, though the transport may take its time. Not called
   * for a link that is simply lost.
   */
  onEnding?(error: EntremiseError): void;
  /** The link is over, once. `link-lost` when nobody said why. */
  onClosed(error: EntremiseError): void;
}

/** How a link is run. */
export interface LinkOptions {
  readonly transport: Transport;
  readonly clock: Clock;
  readonly log: Log;
  /**
   * Members: PING after that long without sending. The server: undefined; it promises nothing, and measures its round
   * trip when the member's PING comes.
   */
  readonly keepaliveMs: number | undefined;
  /** Told the size of each frame of label 0 once the peer is authenticated. A throw closes the link (P1.6). */
  readonly onLinkFrame?: (frameBytes: number) => void;
}

/** In PING and WELCOME: "I do not say when I speak next". */
export const noPromiseMs = 0xffff_ffff;
