import type { ExecutionContext } from 'ava';
import type { PacketSuite } from '../../wire/packet-key.ts';
import { boundFd, type RelayLab, rawPeer } from './relay-lab.ts';

/** What the claims of compliance.ts begin with. */

/** Numbers of routes. */
export const [routeUp, routeDown, portRoute] = [7, 9, 11];

/** A mediator's port and a terminal's script, through a server that swaps routes. */
export async function wholePath(
  t: ExecutionContext,
  lab: RelayLab,
  suite: PacketSuite = 'aes-128-gcm',
  approve = false,
) {
  const server = await lab.server();
  const mediator = await lab.channel(server, 1, { suite });
  const terminal = await lab.channel(server, 2, { suite });
  server.relay.bindRoute(1, portRoute, { cid: 2, route: routeUp });
  server.relay.bindRoute(2, routeUp, { cid: 1, route: portRoute });
  terminal.member.relay.bindRoute(2, routeUp, 'script');
  const { fd, peer } = boundFd();
  const port = mediator.member.relay.addPort(fd, { approve, family: 4 });
  mediator.member.relay.bindPort(port, { cid: 1, route: portRoute });
  mediator.member.relay.bindRoute(1, portRoute, { port });
  return { server, mediator, terminal, port, portPeer: peer, device: await rawPeer(t) };
}

/** Both ends of one channel; what comes on `routeDown` is the member's script's. */
export async function oneChannel(lab: RelayLab, options: { suite?: PacketSuite; packetBytes?: number } = {}) {
  const pair = await lab.channel(await lab.server(), 1, options);
  pair.member.relay.bindRoute(1, routeDown, 'script');
  pair.server.relay.bindRoute(1, routeDown, 'script');
  return pair;
}

/** A peer that is nobody here. */
export const elsewhere = { address: '192.0.2.1', number: 53 };

/** Texts of what came. */
export const textsOf = (list: readonly { readonly text: string }[]) => list.map(({ text }) => text);

/** Registers one claim about a kind of relay. */
export type Claim = (title: string, run: (t: ExecutionContext, lab: RelayLab) => Promise<void>) => void;
