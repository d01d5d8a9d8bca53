import type { ExecutionContext } from 'ava';
import { until } from '../../native/test-sockets.ts';
import { isControlBody, type PacketBody, type PacketPeer } from '../../wire/packet.ts';
import type { PacketKey, PacketSuite } from '../../wire/packet-key.ts';
import { readGroup, withBytes } from '../../wire/testing/vectors.ts';
import type { Opened, RawPeer, RelayLab } from './relay-lab.ts';
import { rawPeer } from './relay-lab.ts';

/** Holds a relay to the golden vectors of src/wire/vectors/packets.vectors.json. */

type Direction = 'memberToServer' | 'serverToMember';

interface KeyVector {
  readonly suite: PacketSuite;
  readonly cid: number;
  readonly epoch: number;
  readonly memberToServer: { readonly key: string; readonly iv: string };
  readonly serverToMember: { readonly key: string; readonly iv: string };
}

/** A sealed packet of the vectors. */
export interface PacketVector {
  readonly name: string;
  readonly suite: PacketSuite;
  readonly direction: Direction;
  readonly epoch: number;
  readonly cid: number;
  readonly counter: number;
  readonly hex: string;
}

interface Group {
  readonly bodies: readonly { readonly name: string; readonly value: unknown }[];
  readonly keys: readonly KeyVector[];
  readonly packets: readonly PacketVector[];
}

const { bodies, keys, packets } = readGroup('packets') as Group;

function keyFor({ suite, cid, epoch, direction }: PacketVector): PacketKey {
  const found = keys.find(one => one.suite === suite && one.cid === cid && one.epoch === epoch);
  if (found === undefined) throw new Error(`no key for ${suite} ${cid} ${epoch}`);
  const { key, iv } = found[direction];
  return { suite, key: Buffer.from(key, 'hex'), iv: Buffer.from(iv, 'hex') };
}

function bodyFor({ name }: PacketVector): PacketBody {
  return withBytes(bodies.find(body => body.name === name)?.value) as PacketBody;
}

interface Bench extends Opened {
  readonly door: number;
  readonly peer: RawPeer;
}

/** A key begins at counter 0, so these are what a relay can be made to say. */
async function seals(t: ExecutionContext, { relay, door, peer }: Bench, vector: PacketVector) {
  const body = bodyFor(vector);
  const key = keyFor(vector);
  const { cid, epoch } = vector;
  relay.addChannel(cid, { epoch, sealKey: key, openKey: key });
  relay.setPath(cid, { door, peer: peer.peer, packetBytes: 1200 });
  const begun = peer.got.length;
  if (body.kind === 'datagram') relay.sendDatagram(cid, body.route, body.peer, body.bytes);
  else if (isControlBody(body)) relay.sendControl(cid, door, peer.peer, body);
  else return;
  await until('the packet is there', () => peer.got.length > begun);
  t.is(peer.got.at(-1)?.bytes.toString('hex'), vector.hex, vector.name);
}

async function opens(t: ExecutionContext, bench: Bench, vector: PacketVector, member: PacketPeer) {
  const { relay, heard, peer } = bench;
  const { cid, epoch, hex, name } = vector;
  const body = bodyFor(vector);
  if (body.kind === 'part') return;
  const key = keyFor(vector);
  relay.addChannel(cid, { epoch, sealKey: key, openKey: key });
  const datagrams = body.kind === 'bundle' ? body.datagrams : body.kind === 'datagram' ? [body] : [];
  for (const { route } of datagrams) relay.bindRoute(cid, route, 'script');
  const told = () => heard.controls.length + heard.datagrams.length;
  const begun = told();
  peer.send(Buffer.from(hex, 'hex'), member);
  await until(`${name} is opened`, () => told() >= begun + Math.max(1, datagrams.length));
  const what = `${name}, counter ${vector.counter}`;
  if (datagrams.length === 0) {
    t.deepEqual(plain(heard.controls.at(-1)?.body), plain(body), what);
    return;
  }
  const expected = datagrams.map(({ route, peer: from, bytes }) => {
    return { cid, route, peer: from, text: Buffer.from(bytes).toString('latin1') };
  });
  t.deepEqual(heard.datagrams.slice(-datagrams.length), expected, what);
}

/** Buffers and other byte arrays with the same bytes are the same here. */
function plain(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (_name, item) => {
      if (item instanceof Uint8Array) return Buffer.from(item).toString('hex');
      return item?.type === 'Buffer' ? Buffer.from(item.data).toString('hex') : item;
    }),
  );
}

/** Every packet of a suite: sealed as it stands there where its counter is 0, and opened. */
export async function goldenPackets(t: ExecutionContext, lab: RelayLab, suite: PacketSuite): Promise<void> {
  const peer = await rawPeer(t);
  const opened = lab.open();
  const door = opened.relay.openMemberDoor(peer.peer);
  const bench = { ...opened, door, peer };
  const own = packets.filter(vector => vector.suite === suite);
  for (const vector of own.filter(({ counter }) => counter === 0)) await seals(t, bench, vector);
  const member = peer.got[0]?.from;
  if (member === undefined) return t.fail('nothing was sealed');
  for (const vector of own) await opens(t, bench, vector, member);
}
