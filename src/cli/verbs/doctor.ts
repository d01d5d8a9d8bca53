import { lookup } from 'node:dns/promises';
import type { Command } from 'commander';
import { systemClock } from '../../base/clock.ts';
import { deferred } from '../../base/deferred.ts';
import { asEntremiseError, EntremiseError, type ErrorCode } from '../../base/errors.ts';
import { withoutAddon } from '../../mediator/capture/wire-view.ts';
import { proxySetting } from '../../member/proxy-setting.ts';
import { TrustKeeper } from '../../member/trust-keeper.ts';
import { findAddon } from '../../native/addon.ts';
import { parseServerAddress, type ServerAddress, serverAddressText } from '../../policy/server-address.ts';
import type { Terminal } from '../../terminal/index.ts';
import { connectTls } from '../../transport/tls.ts';
import type { EventsReport, PathReport } from '../../wire/messages/report.ts';
import { alpnProtocol } from '../../wire/spec.ts';
import { type Context, contextOf } from '../context.ts';
import { formatDuration } from '../duration.ts';
import { examples } from '../examples.ts';
import { onlineMember } from '../online-member.ts';
import { linkWords, natWords, ownUdpWords, pathWords } from '../path-words.ts';
import { withTerminal } from '../with-terminal.ts';

/** One thing that was looked at. `advice` says what to do when it is not good. */
interface Finding {
  readonly check: string;
  readonly good: boolean;
  readonly detail: string;
  readonly advice?: string;
  /** What kind of failure it is, for the exit code. */
  readonly code?: ErrorCode;
  /** What was seen, for programs. */
  readonly path?: PathReport;
}

/** How long a server may take, after its welcome, to hand over trust statement and grants. */
const documentsTimeoutMs = 5_000;

/** More than this between the server's clock and ours is worth a word. */
const clockSlackMs = 60_000;

/** Adds `entremise doctor`. */
export function addDoctorVerb(program: Command): void {
  program
    .command('doctor')
    .description(
      'what stands between this profile and its mediators: profile, names, TCP, TLS, pin, clock, grants, UDP',
    )
    .addHelpText('after', examples('doctor', '--profile work doctor --json'))
    .action((_options, command) => doctor(contextOf(command)));
}

/** Runs a check; what it throws becomes a finding with advice. */
async function finding(check: string, advice: string, look: () => Promise<string>): Promise<Finding> {
  try {
    return { check, good: true, detail: await look() };
  } catch (thrown) {
    const { code, message } = asEntremiseError(thrown);
    return { check, good: false, detail: message, advice, code };
  }
}

async function doctor(context: Context): Promise<void> {
  const findings: Finding[] = [];
  const tell = (found: Finding): Finding => {
    findings.push(found);
    if (!context.output.json) context.output.result(found, linesOf(found));
    return found;
  };
  let keeper: TrustKeeper | undefined;
  const profile = await finding(
    'profile',
    'Enrol first: entremise enroll --server <host:port>.',
    async () => {
      keeper = await TrustKeeper.load({ directory: context.profile, clock: systemClock, log: context.log });
      return `${context.profile.path}: ${keeper.own.name}, ${keeper.own.role} of ${keeper.current.operator} (profile ${context.profileName})`;
    },
  );
  tell(profile);
  tell(addonFinding());
  if (keeper !== undefined) await checkServers(context, keeper, tell);
  if (context.output.json) context.output.result(findings, []);
  const bad = findings.find(({ good }) => !good);
  if (bad !== undefined)
    throw new EntremiseError(bad.code ?? 'environment-unfit', { message: `${bad.check}: ${bad.detail}` });
}

/** What does without it does, and is told: no fault. */
function addonFinding(): Finding {
  const { problem } = findAddon();
  if (problem === undefined) return { check: 'addon', good: true, detail: 'there' };
  const detail = `missing here: entremise run cannot be used, and some ends of local connections are told apart less well (${problem})`;
  return { check: 'addon', good: true, detail };
}

function linesOf({ check, good, detail, advice }: Finding): string[] {
  const first = `${good ? 'ok  ' : 'BAD '} ${check.padEnd(8)} ${detail}`;
  return advice === undefined ? [first] : [first, `         -> ${advice}`];
}

async function checkServers(
  context: Context,
  keeper: TrustKeeper,
  tell: (found: Finding) => Finding,
): Promise<void> {
  const known = keeper.current.serverAddresses;
  const servers =
    known.length > 0 ? known : context.profile.requireMembership().servers.map(parseServerAddress);
  for (const server of servers) {
    if (!(await checkPath(keeper, server, tell))) return;
  }
  await checkLink(context, keeper, tell);
}

/** Name, TCP, TLS and pin of one server. False when it is of no use to look further. */
async function checkPath(
  keeper: TrustKeeper,
  server: ServerAddress,
  tell: (found: Finding) => Finding,
): Promise<boolean> {
  const where = serverAddressText(server);
  const dns = tell(
    await finding('dns', `Check the name and this machine's resolver (/etc/resolv.conf).`, async () => {
      const addresses = await lookup(server.host, { all: true }).catch(cause => {
        const message = `${server.host} has no address here.`;
        throw new EntremiseError('server-unreachable', { message, cause });
      });
      return `${server.host}: ${addresses.map(({ address }) => address).join(', ')}`;
    }),
  );
  if (!dns.good) return false;
  const expectedPins = keeper.current.serverPins.map(pin => Buffer.from(pin, 'base64url'));
  const tls = await finding('tcp', '', async () => {
    const startMs = systemClock.now();
    const options = { host: server.host, port: server.number, alpn: alpnProtocol, timeoutMs: 10_000 };
    const transport = await connectTls({ ...options, expectedPins, proxy: proxySetting() });
    transport.destroy();
    return `${where}: TCP, TLS 1.3 and pin are good (${Math.round(systemClock.now() - startMs)} ms)`;
  });
  tell(
    tls.good
      ? { ...tls, check: 'tls' }
      : { ...tls, check: failedStep(tls.detail), advice: adviceFor(failedStep(tls.detail)) },
  );
  return tls.good;
}

function failedStep(detail: string): 'tcp' | 'tls' | 'pin' {
  if (/pin/i.test(detail)) return 'pin';
  return /TLS|handshake|certificate/i.test(detail) ? 'tls' : 'tcp';
}

function adviceFor(step: 'tcp' | 'tls' | 'pin'): string {
  if (step === 'pin')
    return 'Somebody else answers there, or the server was made anew: ask the operator before you do anything.';
  if (step === 'tls')
    return 'Something between here and the server changes the connection, or it is no Entremise server.';
  return 'Check that this network lets TCP out to that number, and that the server runs.';
}

/** Waits until what the server hands over behind its welcome has been looked at. */
async function documentsOf(trust: TrustKeeper): Promise<void> {
  const seen = deferred<void>();
  const stop = trust.onChange(() => seen.resolve());
  const cancel = systemClock.after(documentsTimeoutMs, () => seen.resolve());
  await seen.promise;
  cancel();
  stop();
}

/** What only a link tells: whether the server knows this key, its clock, the grants it hands out. */
async function checkLink(
  context: Context,
  keeper: TrustKeeper,
  tell: (found: Finding) => Finding,
): Promise<void> {
  let serverTimeMs: number | undefined;
  let told = keeper;
  const link = tell(
    await finding('link', 'Ask the operator: entremise server members shows who is enrolled.', async () => {
      const running = await onlineMember(context, welcomed => {
        serverTimeMs = welcomed.serverTimeMs;
      });
      await documentsOf(running.trust);
      const { driver } = running.member.link ?? {};
      const trip = driver?.roundTripMs;
      const way =
        driver === undefined
          ? ''
          : `; ${driver.remote}${trip === undefined ? '' : `, round trip ${Math.round(trip)} ms`}`;
      running.stop();
      told = running.trust;
      const { operator, seq } = told.current;
      return `the server knows this key; trust statement ${seq} of ${operator}${way}`;
    }),
  );
  if (!link.good) return;
  const offMs = systemClock.wallTimeMs() - (serverTimeMs ?? systemClock.wallTimeMs());
  const clock = `${formatDuration(Math.abs(offMs))} ${offMs < 0 ? 'behind' : 'ahead of'} the server`;
  const advice = 'Set the clock (NTP): grants and documents are judged by time.';
  tell(
    Math.abs(offMs) <= clockSlackMs
      ? { check: 'clock', good: true, detail: clock }
      : { check: 'clock', good: false, detail: clock, advice },
  );
  const grants = tell(grantFinding(told));
  if (grants.good) await tellPaths(context, tell);
}

/** What NATs do to UDP, where that is known (P8.5). */
function tellNat(who: string, path: PathReport, tell: (found: Finding) => Finding): void {
  const nat = natWords(path);
  if (nat !== undefined) tell({ check: 'nat', good: true, detail: `${who}: ${nat}`, path });
}

/** This terminal's own way to the server by UDP. That it does not pass is no fault: the TCP channel does it all. */
async function tellOwnUdp(terminal: Terminal, tell: (found: Finding) => Finding): Promise<void> {
  const path = await terminal.udp?.survey?.();
  if (path === undefined) return;
  const { udp } = path;
  const advice = 'Datagrams go over the TCP channel meanwhile; let UDP out to the number of the server.';
  const finding = { check: 'udp', good: true, detail: `this terminal: ${ownUdpWords(path)}`, path };
  tell(udp === 'blocked' ? { ...finding, advice } : finding);
  tellNat('this terminal', path, tell);
}

/** How each mediator that is online reaches the server, what its NATs bear (P8.3), and what it sees of its ports (P3.7). */
function tellPaths(context: Context, tell: (found: Finding) => Finding): Promise<void> {
  return withTerminal(context, async terminal => {
    await tellOwnUdp(terminal, tell);
    for (const { name, key, online, report, roundTripMs } of terminal.mediators()) {
      const who = name ?? key;
      const path = online ? report?.path : undefined;
      if (path !== undefined) {
        const nowMs = systemClock.wallTimeMs();
        for (const detail of [linkWords(path, roundTripMs, nowMs), pathWords(path, nowMs)])
          tell({ check: 'path', good: true, detail: `${who}: ${detail}` });
        tellNat(who, path, tell);
      }
      const events = online ? report?.events : undefined;
      if (events !== undefined) tell(eventsFinding(who, events));
    }
  });
}

/** Fewer events are no fault, but somebody may miss them. */
function eventsFinding(who: string, { from, why }: EventsReport): Finding {
  const check = { check: 'events', good: true };
  if (from === 'wire') return { ...check, detail: `${who}: off the wire, attempts and refusals too` };
  const detail = `${who}: from sockets alone, no attempts and no refusals (${why ?? 'no reason given'})`;
  const advice =
    why === withoutAddon
      ? 'Install the package that was built for the mediator’s machine.'
      : 'Let the mediator capture packets: it needs CAP_NET_RAW.';
  return { ...check, detail, advice };
}

function grantFinding(keeper: TrustKeeper): Finding {
  const nowMs = systemClock.now();
  const valid = keeper.grants.filter(grant => grant.deadlineMs > nowMs);
  if (valid.length === 0) {
    const advice = `Ask the operator for one: entremise grant create --terminal ${keeper.own.key} --mediator <name>`;
    return { check: 'grants', good: false, detail: 'no valid grant', advice, code: 'grant-missing' };
  }
  const shown = valid.map(
    grant => `${grant.id} (${grant.purpose}, ${formatDuration(grant.deadlineMs - nowMs)} left)`,
  );
  return { check: 'grants', good: true, detail: shown.join(', ') };
}
