import { createHash } from 'node:crypto';
import * as v from 'valibot';
import { type Network, networkText, parseNetwork } from '../../policy/network.ts';
import { closedObject, listOf, memberName, parsedText } from '../../policy/schema.ts';
import { type ServerAddress, serverAddressText } from '../../policy/server-address.ts';
import type { PacketPeer } from '../../wire/packet.ts';
import {
  type Bounds,
  bounds,
  endpoint,
  hasFittingIdle,
  idleMessage,
  isReachable,
  peer,
  protocol,
  reachableMessage,
  readDeclared,
} from './parts.ts';

/** A port of this server whose plain clients come out in a mediator's LAN (P7.6). */
export interface Publication extends Bounds {
  /** 12 hexadecimal digits made of protocol and `on`: a number of this server is published once. */
  readonly id: string;
  readonly mediator: string;
  readonly protocol: 'tcp' | 'udp';
  /** Of this server: one of its addresses, or a wildcard. */
  readonly on: PacketPeer;
  /** In the LAN; a name, which the mediator resolves, for TCP alone. */
  readonly to: ServerAddress;
  /** Where clients may come from. */
  readonly from: readonly Network[];
}

/** A publication in the words of server.toml, of the API and of `publish list`. */
export interface PublicationText {
  readonly mediator: string;
  readonly protocol: 'tcp' | 'udp';
  readonly on: string;
  readonly to: string;
  readonly from: readonly string[];
  readonly peers: number;
  readonly newPeersPerSecond: number;
  readonly idleS?: number;
}

/** The number of the server that is published, as text. */
function placeOf({ protocol: carried, on }: Pick<Publication, 'protocol' | 'on'>): string {
  return `${carried} ${serverAddressText({ host: on.address, number: on.number })}`;
}

function idOf(publication: Pick<Publication, 'protocol' | 'on'>): string {
  return createHash('sha256').update(placeOf(publication)).digest('hex').slice(0, 12);
}

/** Schema of `[[publish]]`, and of a body of the API. */
export const publicationSchema = v.pipe(
  closedObject({
    mediator: memberName,
    protocol,
    on: peer,
    to: endpoint,
    from: listOf(parsedText(parseNetwork), 1, 64),
    ...bounds,
  }),
  v.check(read => isReachable(read), reachableMessage),
  v.check(read => hasFittingIdle(read), idleMessage),
  v.transform((read): Publication => ({ ...read, idleS: read.idleS, id: idOf(read) })),
);

/** @throws EntremiseError `bad-request`, saying what is wrong */
export function readPublication(value: unknown): Publication {
  return readDeclared(publicationSchema, value, 'publication');
}

/** What {@link readPublication} reads. */
export function publicationText(publication: Publication): PublicationText {
  const { mediator, on, to, from, peers, newPeersPerSecond, idleS } = publication;
  return {
    mediator,
    protocol: publication.protocol,
    on: serverAddressText({ host: on.address, number: on.number }),
    to: serverAddressText(to),
    from: from.map(networkText),
    peers,
    newPeersPerSecond,
    ...(idleS === undefined ? {} : { idleS }),
  };
}
