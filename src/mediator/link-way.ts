import type { Log } from '../base/log.ts';
import type { MemberLink } from '../session/member-link.ts';
import { parsePeer } from '../session/parse-peer.ts';
import { noWayOut } from './environment/environment.ts';

/** What is needed of a link here. */
type Abandonable = Pick<MemberLink, 'abandon'> & { readonly driver: Pick<MemberLink['driver'], 'remote'> };

/**
 * The way out that the link was made by. When packets to the server leave by another one, those of the link carry the
 * address of the one before, and nothing comes back to it: it is given up at once, and not after its silence (P8.1). A way
 * that is only gone may come back, and the link with it. Where none was known when a link came up, since the kernel tells of an
 * address before its routes, the one that is known next is the one that it was made by.
 */
export class LinkWay {
  private readonly wan: (address: string) => string;
  private readonly log: Log;
  private current: { readonly link: Abandonable; readonly address: string; readonly wan: string } | undefined;

  /** `wan`: interface and gateway towards an address, in words. */
  constructor(wan: (address: string) => string, log: Log) {
    this.wan = wan;
    this.log = log;
  }

  /** A link is up. */
  onOnline(link: Abandonable): void {
    const address = parsePeer(link.driver.remote)?.address ?? '';
    this.current = { link, address, wan: this.wan(address) };
  }

  /** It is gone. */
  onOffline(): void {
    this.current = undefined;
  }

  /** The environment has changed. */
  look(): void {
    const { current } = this;
    if (current === undefined) return;
    const wan = this.wan(current.address);
    if (wan === current.wan || wan === noWayOut) return;
    if (current.wan === noWayOut) {
      this.current = { ...current, wan };
      return;
    }
    this.log.info({ before: current.wan, now: wan }, 'another way out');
    this.current = undefined;
    current.link.abandon('the way out is another now');
  }
}
