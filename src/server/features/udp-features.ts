import type { Clock } from '../../base/clock.ts';
import { asEntremiseError, EntremiseError } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import { SparingLog } from '../../base/sparing-log.ts';
import type { NativeSockets } from '../../native/addon.ts';
import { PlainUdp } from '../../native/plain-numbers.ts';
import { ReservedUdp } from '../../native/reserved-udp.ts';
import type { Audit } from '../../switch/permit.ts';
import type { PlainSide } from '../../switch/plain-side.ts';
import type { Switch } from '../../switch/switch.ts';
import { peerText } from '../../switch/udp-channel.ts';
import { AttachmentKeeper, sourceAddressFor, type Terminal, udpSocketBestWay } from '../../terminal/index.ts';
import type { PacketPeer } from '../../wire/packet.ts';
import type { PublishRule, ServiceRule } from '../feature-config.ts';
import { type PublishedCounts, PublishedUdp } from '../publish/published-udp.ts';
import { type StandingState, StandingUdp } from '../services/standing-udp.ts';
import { type FeatureName, featureDirectory, startFeature } from './feature-terminal.ts';

/**
 * What server.toml declares of plain UDP: each kind is a terminal of its own, `publish` and `service`, with its own key and
 * grants. One that cannot begin (not enrolled, a number taken) is told of and left out; the switch goes on.
 */

/** An attachment that is lost between two lines is not waited for much longer. */
const openPatienceMs = 1_000;

/** What the features need of the server. */
export interface UdpFeatureOptions {
  readonly stateDir: string;
  readonly publish: readonly PublishRule[];
  readonly services: readonly ServiceRule[];
  readonly hub: Switch;
  readonly serverPin: Buffer;
  readonly native: NativeSockets | undefined;
  readonly audit: Audit;
  readonly clock: Clock;
  readonly log: Log;
}

/** The features that run. */
export interface UdpFeatures {
  readonly published: readonly { readonly rule: PublishRule; readonly counts: PublishedCounts }[];
  readonly services: readonly { readonly rule: ServiceRule; readonly state: StandingState }[];
  close(): Promise<void>;
}

/** What one kind of feature runs with. */
interface Running {
  readonly terminal: Terminal;
  readonly side: PlainSide;
  keeper(mediator: string): AttachmentKeeper;
}

async function begin(name: FeatureName, options: UdpFeatureOptions): Promise<Running> {
  const { stateDir, hub, serverPin, clock, log } = options;
  const directory = featureDirectory(stateDir, name);
  const { terminal, side } = await startFeature({
    name,
    directory,
    hub,
    serverPin,
    clock,
    log,
    plainUdp: true,
  });
  if (side === undefined)
    throw new EntremiseError('environment-unfit', { message: 'There is no UDP at the service port.' });
  const keepers = new Map<string, AttachmentKeeper>();
  const keeper = (mediator: string) => {
    const made =
      keepers.get(mediator) ??
      new AttachmentKeeper(terminal, mediator, { purpose: 'service', holdMs: 0, forever: true });
    keepers.set(mediator, made);
    return made;
  };
  return { terminal, side, keeper };
}

/** A port of the mediator's own towards a device. @throws TunnelError as `attach`, `open` and `redirect` */
async function openTowards(keeper: AttachmentKeeper, { address: target }: PacketPeer) {
  const attachment = await keeper.attached(AbortSignal.timeout(openPatienceMs));
  const address = sourceAddressFor(keeper.mediator?.report, target);
  const family = target.includes(':') ? 6 : 4;
  return udpSocketBestWay(attachment, address === undefined ? { family } : { address });
}

function publish(rule: PublishRule, { side, keeper }: Running, options: UdpFeatureOptions): PublishedUdp {
  const { native, audit, clock, log } = options;
  const { on, to, from, mediator, peers, newPeersPerSecond, idleS } = rule;
  const family = on.address.includes(':') ? 6 : 4;
  const onlyFrom = from.map(({ base, prefixLength }) => ({ address: base.text, prefixLength }));
  const reserved =
    native === undefined
      ? PlainUdp.reserve(on.address, on.number)
      : ReservedUdp.reserve(native, on.address, on.number);
  const port = reserved.handTo(side.relay, { family, approve: false, onlyFrom });
  // From now on, so that the first client need not wait.
  const attached = keeper(mediator);
  const told = { mediator, on: peerText(on), to: peerText(to) };
  return new PublishedUdp({
    side,
    port,
    isAttached: () => attached.current !== undefined,
    openPort: () => openTowards(attached, to),
    target: to,
    clock,
    log: new SparingLog({ log, clock, lines: 10, withinMs: 60_000 }),
    clients: peers,
    newClientsPerSecond: newPeersPerSecond,
    idleMs: idleS * 1000,
    audit: client => audit('published-client', { ...told, client: peerText(client) }),
  });
}

function serve(rule: ServiceRule, { side, keeper }: Running, { clock, log }: UdpFeatureOptions): StandingUdp {
  const { at, to, mediator, peers, newPeersPerSecond, idleS } = rule;
  return new StandingUdp({
    side,
    keeper: keeper(mediator),
    at,
    service: to,
    maxPeers: peers,
    peersPerSecond: newPeersPerSecond,
    idleMs: idleS * 1000,
    clock,
    log,
  });
}

/** One feature and its rules, those that can begin. */
async function beginAll<Rule extends { readonly mediator: string }, Made extends { close(): void }>(
  name: FeatureName,
  rules: readonly Rule[],
  make: (rule: Rule, running: Running) => Made,
  options: UdpFeatureOptions,
): Promise<{ made: { rule: Rule; made: Made }[]; close(): Promise<void> }> {
  const made: { rule: Rule; made: Made }[] = [];
  if (rules.length === 0) return { made, close: async () => {} };
  const fail = (thrown: unknown, rule?: Rule) => {
    const { code, message } = asEntremiseError(thrown);
    const { mediator } = rule ?? {};
    options.log.error(
      { feature: name, mediator, code, reason: message },
      'a feature of the server does not run',
    );
  };
  try {
    const running = await begin(name, options);
    for (const rule of rules) {
      try {
        made.push({ rule, made: make(rule, running) });
      } catch (thrown) {
        fail(thrown, rule);
      }
    }
    const close = async () => {
      for (const each of made) each.made.close();
      await running.terminal.close();
    };
    return { made, close };
  } catch (thrown) {
    fail(thrown);
    return { made, close: async () => {} };
  }
}

/** Starts what is declared. Never throws for a feature's sake: what cannot begin is logged. */
export async function startUdpFeatures(options: UdpFeatureOptions): Promise<UdpFeatures> {
  const published = await beginAll(
    'publish',
    options.publish,
    (rule, running) => publish(rule, running, options),
    options,
  );
  const services = await beginAll(
    'service',
    options.services,
    (rule, running) => serve(rule, running, options),
    options,
  );
  return {
    get published() {
      return published.made.map(({ rule, made }) => ({ rule, counts: made.counts }));
    },
    get services() {
      return services.made.map(({ rule, made }) => ({ rule, state: made.state }));
    },
    async close() {
      await published.close();
      await services.close();
    },
  };
}
