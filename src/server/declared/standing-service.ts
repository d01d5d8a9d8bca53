import * as v from 'valibot';
import { closedObject, listOf, memberLabel, memberName } from '../../policy/schema.ts';
import { type ServerAddress, serverAddressText } from '../../policy/server-address.ts';
import type { PacketPeer } from '../../wire/packet.ts';
import {
  type Bounds,
  bounds,
  endpoint,
  hasFittingIdle,
  idleMessage,
  isReachable,
  mediatorPort,
  protocol,
  reachableMessage,
  readDeclared,
} from './parts.ts';

/** A port that is kept open on mediators, whose devices come out at a plain server (P7.6). */
export interface StandingService extends Bounds {
  /** Also the name under which mediators want it (S5). */
  readonly name: string;
  readonly protocol: 'tcp' | 'udp';
  /** Of the mediator: an address, or `lan`, its first address there. */
  readonly at: PacketPeer;
  readonly to: ServerAddress;
  /** To which mediators it is applied: this one, */
  readonly mediator: string | undefined;
  /** and those that have all of these labels, */
  readonly labels: readonly string[] | undefined;
  /** and those that want it. */
  readonly wanted: boolean;
}

/** A service in the words of server.toml, of the API and of `service list`. */
export interface StandingServiceText {
  readonly name: string;
  readonly protocol: 'tcp' | 'udp';
  readonly at: string;
  readonly to: string;
  readonly mediator?: string;
  readonly labels?: readonly string[];
  readonly wanted?: boolean;
  readonly peers: number;
  readonly newPeersPerSecond: number;
  readonly idleS?: number;
}

/** True where a service is declared for that mediator by its name or labels. */
export function isDeclaredFor(
  { mediator, labels }: StandingService,
  { name, labels: own }: { readonly name: string; readonly labels: readonly string[] },
): boolean {
  return name === mediator || (labels?.every(label => own.includes(label)) ?? false);
}

/** Schema of `[[service]]`, and of a body of the API. */
export const standingServiceSchema = v.pipe(
  v.unknown(),
  // Files of before there were names lack it, and are to be told more than that it is missing.
  v.check(
    read => typeof read !== 'object' || read === null || 'name' in read,
    'has no name: give it one that no other service has, like name = "voip"; it is the one by which mediators want it',
  ),
  closedObject({
    name: memberName,
    protocol,
    at: mediatorPort,
    to: endpoint,
    mediator: v.optional(memberName),
    labels: v.optional(listOf(memberLabel, 1, 32)),
    wanted: v.optional(v.boolean('must be true or false'), false),
    ...bounds,
  }),
  v.check(
    ({ mediator, labels, wanted }) => mediator !== undefined || labels !== undefined || wanted,
    'must say which mediators it is for, at least one of: mediator, labels, wanted',
  ),
  v.check(read => isReachable(read), reachableMessage),
  v.check(read => hasFittingIdle(read), idleMessage),
  v.transform(
    (read): StandingService => ({
      ...read,
      mediator: read.mediator,
      labels: read.labels,
      idleS: read.idleS,
    }),
  ),
);

/** @throws EntremiseError `bad-request`, saying what is wrong */
export function readStandingService(value: unknown): StandingService {
  return readDeclared(standingServiceSchema, value, 'service');
}

/** What {@link readStandingService} reads. */
export function standingServiceText(service: StandingService): StandingServiceText {
  const { name, at, to, mediator, labels, wanted, peers, newPeersPerSecond, idleS } = service;
  return {
    name,
    protocol: service.protocol,
    at: serverAddressText({ host: at.address, number: at.number }),
    to: serverAddressText(to),
    ...(mediator === undefined ? {} : { mediator }),
    ...(labels === undefined ? {} : { labels }),
    ...(wanted ? { wanted } : {}),
    peers,
    newPeersPerSecond,
    ...(idleS === undefined ? {} : { idleS }),
  };
}
