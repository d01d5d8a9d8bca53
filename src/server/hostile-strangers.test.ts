import { randomBytes } from 'node:crypto';
import { connect } from 'node:tls';
import test, { type ExecutionContext } from 'ava';
import { generateSigningKey } from '../base/keys.ts';
import { encodeFrame } from '../wire/frame.ts';
import { goaway, ping, proof } from '../wire/messages/link.ts';
import { frameFlag, frameType } from '../wire/spec.ts';
import { bystanders, linesAbout } from './testing/bystanders.ts';
import { headerOf, RawLink, RawPeer } from './testing/raw-link.ts';
import { TestOperator, until } from './testing/test-operator.ts';

/**
 * What strangers send to a real server over real TCP and TLS: they are closed, with a reason where they can read one,
 * logged once, and a live attachment of others feels nothing.
 */

async function operator(t: ExecutionContext): Promise<TestOperator> {
  const made = await TestOperator.start();
  t.teardown(() => made.end());
  return made;
}

const link = (type: number, body: Uint8Array, flags = 0) =>
  encodeFrame({ type, flags, label: 0, stream: 0 }, body);

/** CBOR: a map of one entry whose value is `bytes`. */
const inMap = (...bytes: number[]) => Buffer.from([0xa1, 0x01, ...bytes]);

const bombs: Readonly<Record<string, Buffer>> = {
  'arrays in arrays': inMap(...new Array<number>(16_000).fill(0x81)),
  'a list said to hold 4 G': inMap(0x9a, 0xff, 0xff, 0xff, 0xff),
  'a list said to hold 2^64': inMap(0x9b, ...new Array<number>(8).fill(0xff)),
  'text said to be 4 G long': inMap(0x7a, 0xff, 0xff, 0xff, 0xff),
  'a map said to hold 2^64': Buffer.from([0xbb, ...new Array<number>(8).fill(0xff)]),
  'a list without end': inMap(0x9f, ...new Array<number>(1_000).fill(0x01)),
  'tags in tags': inMap(...new Array<number>(8_000).fill(0xc1), 0x01),
  'a key twice': Buffer.from([0xa2, 0x01, 0x01, 0x01, 0x01]),
  'no map': Buffer.from([0x01]),
  'bytes behind the end': Buffer.from([0xa0, 0x00]),
  'text that is no UTF-8': inMap(0x62, 0xc3, 0x28),
  nothing: Buffer.of(),
};

interface Attack {
  /** The reason that the server gives. */
  readonly reason: string;
  readonly act: (peer: RawLink) => unknown;
}

const attacks: Readonly<Record<string, Attack>> = {
  'a body of 65,535 announced': {
    reason: 'frame-too-large',
    act: peer => peer.send(headerOf(frameType.hello, 65_535)),
  },
  'a body of 16,373 announced': {
    reason: 'frame-too-large',
    act: peer => peer.send(headerOf(frameType.hello, 16_373)),
  },
  'a body of length 0 for HELLO': { reason: 'bad-request', act: peer => peer.frame(frameType.hello) },
  'an unknown type on the link': { reason: 'unauthenticated', act: peer => peer.frame(0x7f) },
  'type 0': { reason: 'unauthenticated', act: peer => peer.frame(0) },
  'ATTACH before authentication': {
    reason: 'unauthenticated',
    act: peer => peer.frame(frameType.attach, Buffer.from([0xa0])),
  },
  'REPORT before authentication': {
    reason: 'unauthenticated',
    act: peer => peer.frame(frameType.report, Buffer.alloc(100)),
  },
  'STATEMENT before authentication': {
    reason: 'unauthenticated',
    act: peer => peer.frame(frameType.statement, Buffer.alloc(100)),
  },
  'COMMAND before authentication': {
    reason: 'unauthenticated',
    act: peer => peer.frame(frameType.command, Buffer.alloc(100), 1),
  },
  'DATA before authentication': {
    reason: 'unauthenticated',
    act: peer => peer.frame(frameType.data, Buffer.alloc(100), 1, 1),
  },
  'RESUME before authentication': {
    reason: 'unauthenticated',
    act: peer => peer.frame(frameType.resume, Buffer.alloc(100), 1),
  },
  'PING before authentication': {
    reason: 'unauthenticated',
    act: peer => peer.frame(frameType.ping, ping.toBytes({ id: 1, nextWithinMs: 1 })),
  },
  'PROOF before HELLO': {
    reason: 'unauthenticated',
    act: peer => peer.frame(frameType.proof, proof.toBytes({ signature: Buffer.alloc(64) })),
  },
  'WELCOME to the server': { reason: 'unauthenticated', act: peer => peer.frame(frameType.welcome) },
  'HELLO twice': {
    reason: 'unauthenticated',
    act: peer => peer.send(Buffer.concat([peer.hello(), peer.hello()])),
  },
  'MORE on HELLO': {
    reason: 'protocol-error',
    act: peer => peer.send(link(frameType.hello, Buffer.alloc(10), frameFlag.more)),
  },
  '100,000 unfinished fragments': {
    reason: 'unauthenticated',
    act: peer => {
      const part = link(frameType.report, Buffer.alloc(1), frameFlag.more);
      peer.send(Buffer.concat(new Array<Buffer>(100_000).fill(part)));
    },
  },
  'more than 16 KiB, a frame still unfinished': {
    reason: 'frame-too-large',
    act: peer => {
      const unfinished = [headerOf(frameType.proof, 16_372), Buffer.alloc(16_371, 0x60)];
      peer.send(Buffer.concat([peer.hello(), ...unfinished]));
    },
  },
  'a signature of zeros': {
    reason: 'proof-invalid',
    act: peer => {
      peer.send(peer.hello());
      peer.frame(frameType.proof, proof.toBytes({ signature: Buffer.alloc(64) }));
    },
  },
};

test('P1.6: what breaks a rule before authentication is told why and closed, and logged once', async t => {
  const made = await operator(t);
  const others = await bystanders(made);
  for (const [title, { reason, act }] of Object.entries(attacks)) {
    const since = made.logged.length;
    const peer = await RawLink.connect(made.server.number);
    act(peer);
    const said = await peer.end();
    t.is(said, reason as typeof said, title);
    await until(() => linesAbout(made, peer.remote, since).length > 0, `${title} is logged`);
    t.is(linesAbout(made, peer.remote, since).length, 1, title);
    await others.feelNothing();
  }
  t.is(made.server.switch.status().members, 2);
});

test('P1.5: CBOR bombs in HELLO and PROOF are bad-request, at once', async t => {
  const made = await operator(t);
  const others = await bystanders(made);
  const startMs = performance.now();
  for (const [title, body] of Object.entries(bombs)) {
    for (const first of [false, true]) {
      const peer = await RawLink.connect(made.server.number);
      if (first) peer.send(peer.hello());
      peer.frame(first ? frameType.proof : frameType.hello, body.subarray(0, 16_000));
      t.is(await peer.end(), 'bad-request', title);
    }
  }
  t.true(performance.now() - startMs < 10_000);
  await others.feelNothing();
});

test('P6.1: a proof for another session, another key or another role is no proof', async t => {
  const made = await operator(t);
  const { key } = await made.enrol({ role: 'terminal', name: 'laptop' });
  const [first, second] = [
    await RawLink.connect(made.server.number),
    await RawLink.connect(made.server.number),
  ];
  for (const peer of [first, second]) peer.send(peer.hello('terminal', key));
  await until(() => first.has(frameType.challenge) && second.has(frameType.challenge), 'both are challenged');
  const stolen: Buffer[] = [];
  const send = first.send.bind(first);
  first.send = bytes => void stolen.push(bytes);
  await first.prove('terminal', key);
  first.send = send;
  // The PROOF of one TLS session, sent in another.
  second.send(stolen.at(-1) ?? Buffer.of());
  t.is(await second.end(), 'proof-invalid');
  first.socket.destroy();
  const imposter = await RawLink.connect(made.server.number);
  imposter.send(imposter.hello('terminal', key));
  const own = generateSigningKey();
  const { signature } = proof.fromBytes((stolen.at(-1) ?? Buffer.of()).subarray(12));
  imposter.frame(frameType.proof, proof.toBytes({ signature }));
  t.is(await imposter.end(), 'proof-invalid');
  t.not(own.text, key.text);
});

test('GOAWAY and a close in the middle of everything are taken as they are', async t => {
  const made = await operator(t);
  const others = await bystanders(made);
  const polite = await RawLink.connect(made.server.number);
  polite.frame(frameType.goaway, goaway.toBytes({ reason: 45 }));
  polite.socket.end();
  await polite.untilClosed();
  t.is(linesAbout(made, polite.remote)[0]?.code, 'shutting-down');
  for (const cut of [0, 1, 11, 12, 40]) {
    const since = made.logged.length;
    const peer = await RawLink.connect(made.server.number);
    peer.send(peer.hello().subarray(0, cut));
    peer.socket.destroy();
    await until(() => linesAbout(made, peer.remote, since).length === 1, 'it is logged once');
  }
  await others.feelNothing();
});

test('a HELLO and PROOF that come byte by byte are good all the same', async t => {
  const made = await operator(t);
  const { key } = await made.enrol({ role: 'terminal', name: 'laptop' });
  const peer = await RawLink.connect(made.server.number);
  const send = peer.send.bind(peer);
  peer.send = bytes => {
    for (const byte of bytes) send(Buffer.of(byte));
  };
  await peer.prove('terminal', key);
  await until(() => peer.has(frameType.welcome), 'it is welcome');
  t.is(peer.reason, undefined);
  peer.socket.destroy();
});

test('P1.6: who says nothing is gone after 10 s, before TLS and after it, and is counted no more', async t => {
  const made = await operator(t);
  const others = await bystanders(made);
  const silent = await Promise.all(Array.from({ length: 200 }, () => RawPeer.tcp(made.server.number)));
  const open = () => silent.filter(({ closed }) => !closed);
  await until(() => open().length === 64, 'all but the first 64 of that source are refused');
  await others.feelNothing();
  await others.pass(10_001);
  await until(() => open().length === 0, 'the others are closed in time');
  const secured = await RawLink.connect(made.server.number);
  const halfWay = await RawLink.connect(made.server.number);
  halfWay.send(halfWay.hello());
  await until(() => halfWay.has(frameType.challenge), 'it is challenged');
  await others.pass(9_000);
  t.false(secured.closed || halfWay.closed);
  await others.pass(1_001);
  t.is(await secured.end(), 'too-slow');
  t.is(await halfWay.end(), 'too-slow');
  await others.feelNothing();
  const lines = made.logged.filter(({ msg }) => msg === 'connection refused');
  t.true(lines.length <= 21, `${lines.length} lines for 200 strangers`);
});

const greetings: Readonly<Record<string, Buffer>> = {
  HTTP: Buffer.from('GET / HTTP/1.1\r\nHost: server.example\r\n\r\n'),
  SSH: Buffer.from('SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n'),
  'random bytes': randomBytes(4096),
  zeros: Buffer.alloc(4096),
  'a TLS record of 65,535': Buffer.concat([Buffer.from('16030177ff', 'hex'), randomBytes(30_000)]),
  'SSLv2 hello': Buffer.from('802e0100020015000000100100800200800300800400800500800600400700c0', 'hex'),
};

test('what is no TLS is closed without a word', async t => {
  const made = await operator(t);
  const others = await bystanders(made);
  for (const [title, bytes] of Object.entries(greetings)) {
    const since = made.logged.length;
    const peer = await RawPeer.tcp(made.server.number);
    peer.socket.write(bytes);
    // What may still become a handshake is waited for, as long as for any other.
    while (!peer.closed) await others.pass(1_000);
    const heard = Buffer.concat(peer.heard);
    // An alert of TLS is all there may be.
    t.true(
      heard.length <= 7 && (heard.length === 0 || heard[0] === 0x15),
      `${title}: ${heard.toString('hex')}`,
    );
    t.is(linesAbout(made, peer.remote, since).length, 1, title);
  }
  await others.feelNothing();
});

test('a ClientHello that dribbles in does not outlast 10 s', async t => {
  const made = await operator(t);
  const others = await bystanders(made);
  const peer = await RawPeer.tcp(made.server.number);
  const hello = Buffer.from('160301020001', 'hex');
  for (const byte of hello) {
    peer.socket.write(Buffer.of(byte));
    await others.pass(1_900);
  }
  await peer.untilClosed();
  t.is(linesAbout(made, peer.remote)[0]?.reason, 'too-slow');
});

test('P1.7: TLS 1.2, no ALPN and a foreign ALPN are refused', async t => {
  const made = await operator(t);
  const others = await bystanders(made);
  const host = { host: '127.0.0.1', port: made.server.number, rejectUnauthorized: false };
  const offers = {
    'TLS 1.2': { maxVersion: 'TLSv1.2', ALPNProtocols: ['entremise/1'] },
    'no ALPN': {},
    'foreign ALPN': { ALPNProtocols: ['h2', 'http/1.1'] },
  } as const;
  for (const [title, offer] of Object.entries(offers)) {
    const { maxVersion, ALPNProtocols } = { maxVersion: undefined, ALPNProtocols: undefined, ...offer };
    const socket = connect({
      ...host,
      ...(maxVersion === undefined ? {} : { maxVersion }),
      ...(ALPNProtocols === undefined ? {} : { ALPNProtocols: [...ALPNProtocols] }),
    });
    const heard: Buffer[] = [];
    let closed = false;
    socket.on('error', () => {});
    socket.on('data', piece => heard.push(piece));
    socket.on('close', () => {
      closed = true;
    });
    await until(() => closed, `${title} is refused`);
    t.is(Buffer.concat(heard).length, 0, title);
  }
  await others.feelNothing();
});
