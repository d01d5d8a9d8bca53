import { parseServerAddress, type ServerAddress, serverAddressText } from '../policy/server-address.ts';
import type { LastServer } from './directory.ts';

/**
 * In which order a member's servers are tried, and the addresses that the last good one had. Names are looked up again
 * on each try; what they were is for a time without DNS (P8.1). Kept on disk only when it changes.
 */
export class ServerBook {
  private last: LastServer | undefined;
  private readonly keep: (last: LastServer) => void;

  /** `last`: what was kept; `keep` is told what is to be kept instead. */
  constructor(last: LastServer | undefined, keep: (last: LastServer) => void) {
    this.last = last;
    this.keep = keep;
  }

  /**
   * The server that the last one named, the last good one if it is still among `servers`, then the rest as they stand.
   * What cannot be read as an address is left out.
   */
  order(servers: readonly ServerAddress[], hinted?: string): ServerAddress[] {
    const texts = servers.map(serverAddressText);
    const last = this.last !== undefined && texts.includes(this.last.server) ? [this.last.server] : [];
    const wanted = new Set([...(hinted === undefined ? [] : [hinted]), ...last, ...texts]);
    return [...wanted].flatMap(text => readable(text));
  }

  /** Addresses that the server's name had when it was last good. */
  knownAddresses(server: ServerAddress): readonly string[] {
    return this.last?.server === serverAddressText(server) ? this.last.addresses : [];
  }

  /** A server has answered at `remote` (`address:number`; undefined when that is not known). */
  onGood(server: ServerAddress, remote: string | undefined): void {
    const text = serverAddressText(server);
    const addresses = remote === undefined ? [] : readable(remote).map(({ host }) => host);
    if (this.last?.server === text && addresses.every(each => this.last?.addresses.includes(each))) return;
    this.last = { server: text, addresses };
    this.keep(this.last);
  }
}

function readable(text: string): ServerAddress[] {
  try {
    return [parseServerAddress(text)];
  } catch {
    return [];
  }
}
