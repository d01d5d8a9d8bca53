import { networkContains, networkOf } from '../policy/network.ts';
import { parseAddress } from '../policy/target.ts';
import type { IpText } from '../wire/ip.ts';
import type { Report } from '../wire/messages/report.ts';
import { failure } from './tunnel-error.ts';

interface Candidate {
  readonly address: IpText;
  readonly prefixLength: number;
  readonly lan: boolean;
}

function candidatesOf(report: Report | undefined): Candidate[] {
  const up = (report?.interfaces ?? []).filter(each => each.up);
  return up.flatMap(({ addresses, lan = false }) => addresses.map(each => ({ ...each, lan })));
}

function contains(candidate: Candidate, target: IpText): boolean {
  const [own, other] = [parseAddress(candidate.address), parseAddress(target)];
  if (own === undefined || other === undefined || own.family !== other.family) return false;
  return networkContains(networkOf(own, candidate.prefixLength), other);
}

/**
 * The mediator's address from which datagrams to `target` leave: of the LAN whose network it is in, else any whose
 * network it is in, else the first LAN address of its family. Undefined when the report tells of none.
 */
export function sourceAddressFor(report: Report | undefined, target: IpText): IpText | undefined {
  const candidates = candidatesOf(report);
  const attached = candidates.filter(each => contains(each, target));
  const family = target.includes(':');
  const sameFamily = candidates.filter(each => each.lan && each.address.includes(':') === family);
  return (attached.find(each => each.lan) ?? attached[0] ?? sameFamily[0])?.address;
}

/**
 * The mediator's address on the owner's LAN, where `expose` listens: IPv4 if it has one.
 * @throws TunnelError `address-not-available` when the report tells of none
 */
export function lanAddress(report: Report | undefined, mediator: string): IpText {
  const lan = candidatesOf(report).filter(each => each.lan && !/^fe80:/i.test(each.address));
  const found = lan.find(each => !each.address.includes(':')) ?? lan[0];
  if (found !== undefined) return found.address;
  throw failure(
    'address-not-available',
    `${mediator} reports no address on a LAN; say which address to listen on, or have its owner name the interfaces (owner.lan).`,
  );
}
