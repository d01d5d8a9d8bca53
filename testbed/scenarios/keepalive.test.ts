import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { blockUdp, type Interface, type Program, until } from 'netns-test-helpers';
import { startEcho } from '../demo/device.ts';
import { servicePort } from '../site.ts';
import { homeAddresses } from '../topologies/home.ts';
import { RedirectedFlow } from './support/redirected-flow.ts';
import { type Stage, setStage } from './support/stage.ts';
import { type Json, jsonLines, startVerb } from './support/verbs.ts';

/**
 * How long a UDP channel may be silent, learned from a real NAT (P8.3). The carrier forgets UDP after 4 s, answered or
 * not, and what is a second to the learner is 50 ms: its rungs are 1.4, 2.9 and 4.4 s, and a link is silent for 12 s.
 */

const natSeconds = 4;
const [heldMs, expiredMs, keepaliveMs] = [2_900, 4_400, 2_320];

const claim = setStage({
  name: 'sckeep',
  home: { ports: 'fully-random' },
  site: () => ({ mediatorConfig: 'ladderUnitMs = 50' }),
  peers: async ({ carrier, device }) => {
    await carrier.setConntrackTimers({ udpSeconds: natSeconds, udpStreamSeconds: natSeconds });
    await startEcho(device);
  },
});

/** Every path of the mediator in what `mediators --watch --json` printed: the list, then changes. */
function pathsIn(text: string): Json[] {
  const lines = text.split('\n').filter(line => /^[[{].*[\]}]$/.test(line));
  const values = lines.flatMap((line): Json[] => [JSON.parse(line)].flat());
  return values.flatMap((value): Json[] => {
    const { report } = (value.mediator ?? value) as { readonly report?: { readonly path?: Json } };
    return report?.path === undefined ? [] : [report.path];
  });
}

/** Waits until the terminal is told of a path as wanted. */
function untilPath(
  t: ExecutionContext,
  stage: Stage,
  what: string,
  wanted: (path: Json) => boolean,
): Promise<Json> {
  const watching = startVerb(t, stage, ['mediators', '--watch'], { keepBytes: 4 << 20 });
  return until(() => pathsIn(watching.stdout).findLast(wanted), {
    what: `mediators to tell of ${what}`,
    deadlineMs: 40_000,
    explain: () => JSON.stringify(pathsIn(watching.stdout)),
  });
}

/** What the mediator has logged under a message. */
function logged(mediator: Program, message: string): Json[] {
  return jsonLines(mediator.stderr).filter(({ msg }) => msg === message);
}

async function untilLogged(mediator: Program, message: string, deadlineMs = 20_000): Promise<Json> {
  await until(() => logged(mediator, message).length > 0, {
    what: `the mediator to log: ${message}`,
    deadlineMs,
    explain: () => mediator.stderr.slice(-2000),
  });
  return logged(mediator, message)[0] ?? {};
}

const forgotten = 'a NAT had forgotten the UDP channel';

claim(
  'what the NAT bears is learned beside the channel, shown and kept, and keeps its binding (P8.3)',
  async (t, stage) => {
    const { mediator, directory } = stage.site;
    const path = await untilPath(t, stage, 'a learned path', ({ origin }) => origin === 'learned');
    t.like(path, { udp: 'up', heldMs, expiredMs, udpKeepaliveMs: keepaliveMs, tcpKeepaliveMs: 12_000 });
    const kept = JSON.parse(readFileSync(join(directory, 'mediator', 'path.json'), 'utf8')) as Json;
    t.is(kept.path, `wan 100.64.0.1 as 203.0.113.2 to 203.0.113.9:${servicePort}`);
    t.like(kept.knowledge as Json, { origin: 'learned', keepaliveMs, heldMs, expiredMs });
    const doctor = await stage.site.terminal('doctor', '--json');
    t.regex(
      doctor.stdout,
      /UDP passes in packets of 1472 bytes, silent for 2.3 s at most \(learned, [^)]*: 2.9 s of silence held, 4.4 s did not\)/,
    );
    // Behind a carrier and a home that both change numbers: what one server can tell, and what it cannot (P8.5).
    t.regex(doctor.stdout, /home-1: changes numbers; mapping endpoint-independent, or dependent/);
    // Every port is random: a binding that was lost would come back with another number, and be logged.
    t.deepEqual(logged(mediator, forgotten), []);
  },
);

claim(
  'F4: a redirected port rests for three times as long as the NAT remembers, and its next datagram arrives (P8.3)',
  async (t, stage) => {
    const { device, gatewayLan } = homeAddresses;
    const flow = await RedirectedFlow.start(t, stage, { from: gatewayLan, to: device });
    await flow.untilAnswered(5);
    await flow.order('rest');
    await flow.untilCounts('every answer', ({ asked, answered }) => asked === answered);
    const restedMs = performance.now();
    await until(() => performance.now() - restedMs > 3_000 * natSeconds, {
      what: 'a long silence',
      deadlineMs: 3_000 * natSeconds + 5_000,
    });
    const { asked } = flow.counts;
    await flow.order('ask');
    await flow.untilCounts('more questions', counts => counts.asked > asked + 20);
    await flow.order('rest');
    await flow.untilCounts(
      'every answer, of the first question too',
      counts => counts.asked === counts.answered,
    );
    t.deepEqual(flow.changes, [], 'all by UDP');
    t.deepEqual(logged(stage.site.mediator, forgotten), []);
  },
);

claim(
  'a NAT that begins to forget sooner costs the UDP channel one binding, and the keepalive is halved (P8.3)',
  async (t, stage) => {
    const { mediator } = stage.site;
    const lost = () => logged(mediator, forgotten).length;
    await stage.home.carrier.setConntrackTimers({ udpSeconds: 2, udpStreamSeconds: 2 });
    const path = await untilPath(t, stage, 'a halved keepalive', ({ origin }) => origin === 'halved');
    t.is(path.udpKeepaliveMs, keepaliveMs / 2);
    t.is(lost(), 1);
    const from = performance.now();
    await until(() => performance.now() - from > 2 * keepaliveMs, { what: 'four keepalives to pass' });
    t.is(lost(), 1);
    await stage.home.carrier.setConntrackTimers({ udpSeconds: natSeconds, udpStreamSeconds: natSeconds });
  },
);

function netOf({ home }: Stage): Interface {
  const net = home.carrier.interfaces.find(({ name }) => name === 'net');
  if (net === undefined) throw new Error('the carrier has no net');
  return net;
}

claim(
  'another public address: what was learned of the path is forgotten, and learned anew (P8.3)',
  async (t, stage) => {
    const { mediator } = stage.site;
    await netOf(stage).replaceAddresses(['203.0.113.3/24']);
    const { path } = await untilLogged(
      mediator,
      'the path has changed: what was learned of the old one is forgotten',
    );
    t.regex(String(path), /as 203\.0\.113\.3 to/);
    await untilPath(
      t,
      stage,
      'a path that is being learned',
      ({ origin, udp }) => origin === 'learning' && udp === 'up',
    );
    t.pass();
  },
);

claim('where UDP does not pass the mediator says so, and sends no more of it (P7.1)', async (t, stage) => {
  const { carrier } = stage.home;
  const rules = await carrier.apply(blockUdp({ how: 'drop', ports: [servicePort], outside: 'net' }));
  t.teardown(() => rules.remove());
  await stage.site.mediator.stop();
  const mediator = stage.site.startMediator();
  t.teardown(() => mediator.stop());
  await untilLogged(mediator, 'no UDP channel');
  const path = await untilPath(t, stage, 'a path without UDP', ({ udp }) => udp === 'blocked');
  t.like(path, { udp: 'blocked' });
  // Whole rounds of keepalives and questions would have gone by meanwhile.
  t.is(await rules.hits(), 4);
});
