import { once } from 'node:events';
import net from 'node:net';
import type { Clock } from '../../base/clock.ts';
import { EntremiseError } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import { SparingLog } from '../../base/sparing-log.ts';
import type { NativeSockets } from '../../native/addon.ts';
import { bindError, errnoOf } from '../../native/errno.ts';
import { PlainUdp } from '../../native/plain-numbers.ts';
import { ReservedUdp } from '../../native/reserved-udp.ts';
import type { Audit } from '../../switch/permit.ts';
import type { PlainSide } from '../../switch/plain-side.ts';
import { type AttachmentKeeper, sourceAddressFor, udpSocketBestWay } from '../../terminal/index.ts';
import { leastIdleS } from '../declared/parts.ts';
import { type Publication, publicationText } from '../declared/publication.ts';
import type { AskRelay, Flow } from '../features/flow.ts';
import type { PublishedCounts } from './client-limits.ts';
import { PublishedTcp } from './published-tcp.ts';
import { PublishedUdp } from './published-udp.ts';

/** From a declared publication to a port of this server that has clients. */

/** An attachment that is lost between two lines is not waited for much longer. */
const openPatienceMs = 1_000;

/** What strangers cause in the log: so many lines in that time, for each port. */
const logLines = { lines: 10, withinMs: 60_000 } as const;

/** A published port that has its number. */
export interface PublishedPort {
  readonly counts: PublishedCounts;
  /** What has gone through it. */
  flow(relay: AskRelay): Flow;
  /** Ends every client, and gives the number up. */
  close(): void;
}

/** What ports are opened with. */
export interface PublishingParts {
  /** Undefined: there is no UDP at the service port. */
  readonly side: PlainSide | undefined;
  readonly native: NativeSockets | undefined;
  readonly audit: Audit;
  readonly clock: Clock;
  readonly log: Log;
}

/** The server says why, where a mediator would have said it. */
function ofServer(error: EntremiseError): EntremiseError {
  return new EntremiseError(error.code, { message: error.message, cause: error.cause, by: 'server' });
}

/** One line for each client, before it is served. */
function auditOf(audit: Audit, publication: Publication) {
  const { mediator, protocol, on, to } = publicationText(publication);
  return (client: { address: string; number: number }) =>
    audit('published-client', { mediator, protocol, on, to, client: `${client.address} ${client.number}` });
}

async function openTcp(
  publication: Publication,
  keeper: AttachmentKeeper,
  { audit, clock, log }: PublishingParts,
): Promise<PublishedPort> {
  const { on, to, from, peers, newPeersPerSecond } = publication;
  const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true });
  server.listen({ host: on.address, port: on.number });
  try {
    await once(server, 'listening');
  } catch (thrown) {
    throw ofServer(bindError(errnoOf(thrown), on.address, on.number, thrown));
  }
  return new PublishedTcp({
    server,
    from,
    attachment: () => keeper.current,
    target: to,
    clients: peers,
    newClientsPerSecond: newPeersPerSecond,
    audit: auditOf(audit, publication),
    clock,
    log: new SparingLog({ log, clock, ...logLines }),
  });
}

/** A port of the mediator's own towards a device. @throws TunnelError as `attach`, `open` and `redirect` */
async function openTowards(keeper: AttachmentKeeper, target: string) {
  const attachment = await keeper.attached(AbortSignal.timeout(openPatienceMs));
  const address = sourceAddressFor(keeper.mediator?.report, target);
  const family = target.includes(':') ? 6 : 4;
  return udpSocketBestWay(attachment, address === undefined ? { family } : { address });
}

/** A number of the server that is held for the relay. @throws EntremiseError as ReservedUdp.reserve */
function reserve({ on }: Publication, native: NativeSockets | undefined) {
  try {
    return native === undefined
      ? PlainUdp.reserve(on.address, on.number)
      : ReservedUdp.reserve(native, on.address, on.number);
  } catch (thrown) {
    throw thrown instanceof EntremiseError ? ofServer(thrown) : thrown;
  }
}

function openUdp(
  publication: Publication,
  keeper: AttachmentKeeper,
  { side, native, audit, clock, log }: PublishingParts,
): PublishedPort {
  if (side === undefined)
    throw new EntremiseError('environment-unfit', { message: 'There is no UDP at the service port.' });
  const { on, to, from, peers, newPeersPerSecond, idleS = leastIdleS } = publication;
  const family = on.address.includes(':') ? 6 : 4;
  const onlyFrom = from.map(({ base, prefixLength }) => ({ address: base.text, prefixLength }));
  const port = reserve(publication, native).handTo(side.relay, { family, approve: false, onlyFrom });
  const target = { address: to.host, number: to.number };
  return new PublishedUdp({
    side,
    port,
    isAttached: () => keeper.current !== undefined,
    openPort: () => openTowards(keeper, to.host),
    target,
    clock,
    log: new SparingLog({ log, clock, ...logLines }),
    clients: peers,
    newClientsPerSecond: newPeersPerSecond,
    idleMs: idleS * 1000,
    audit: auditOf(audit, publication),
  });
}

/**
 * Takes the number, and serves clients from now on.
 * @throws EntremiseError `port-in-use`, `address-not-available`, `not-permitted`, `environment-unfit`
 */
export async function openPublished(
  publication: Publication,
  keeper: AttachmentKeeper,
  parts: PublishingParts,
): Promise<PublishedPort> {
  if (publication.protocol === 'udp') return openUdp(publication, keeper, parts);
  return openTcp(publication, keeper, parts);
}
