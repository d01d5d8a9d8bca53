import { isDeepStrictEqual } from 'node:util';
import { systemClock } from '../base/clock.ts';
import { type Deferred, deferred } from '../base/deferred.ts';
import { createLog, type Log } from '../base/log.ts';
import { MemberDirectory } from '../member/directory.ts';
import { isOwnAddress } from '../member/own-address.ts';
import { proxySetting } from '../member/proxy-setting.ts';
import { type RunningMember, startMember } from '../member/running-member.ts';
import { UdpPath } from '../member/udp-path.ts';
import { findAddon, type NativeSockets } from '../native/addon.ts';
import { tuneLink } from '../native/link-socket.ts';
import { bestRelay } from '../relay/best-relay.ts';
import type { MemberLink } from '../session/member-link.ts';
import { report } from '../wire/messages/report.ts';
import { auditHeads, frameType, wireEvents } from '../wire/spec.ts';
import { MediatorAgent } from './agent.ts';
import { AuditFile } from './audit.ts';
import { AuditHeads } from './audit-heads.ts';
import { WireView } from './capture/wire-view.ts';
import type { MediatorConfig } from './config.ts';
import { Consent } from './control/consent.ts';
import { HoursWatch } from './control/hours-watch.ts';
import { Owner } from './control/owner.ts';
import { consentStatus, type MediatorStatus, missingCapabilities } from './control/status.ts';
import { DeviceSurvey } from './devices/survey.ts';
import { factsOf, reportOf, wanTowards } from './environment/environment.ts';
import { readIfThere } from './environment/machine.ts';
import { watcherOfMachine } from './environment/this-machine.ts';
import { LinkFacts } from './link-facts.ts';
import { LinkWay } from './link-way.ts';
import { lookupName } from './lookup.ts';
import { keepGatewayMemory } from './memory.ts';

/** The mediator program: member, agent, environment and the owner's policy, put together. */

/**
 * Bytes of a link that may wait unsent in the kernel. The queue that makes a command wait behind bulk is the kernel's,
 * not ours: what is in it cannot be overtaken (P2.1). 16 KiB keeps full rate and a short queue.
 */
const notSentLowatBytes = 16 * 1024;

/** How long changes of the path to the server are gathered before they are told. */
const reportPauseMs = 2000;

/** How long the farewell to the server may take. */
const farewellMs = 1000;

/** A mediator that runs. */
export interface RunningMediator {
  readonly member: RunningMember;
  readonly agent: MediatorAgent;
  /**
   * What the owner allows from now on; the audit file is opened anew, the surroundings are looked at, a server that is
   * waited for is tried. False, and nothing is changed, when anything else differs from what it was started with: that
   * wants a new start.
   */
  adopt(config: MediatorConfig): boolean;
  /** What the gateway's owner is told, but for what the program itself knows. */
  status(): Omit<MediatorStatus, 'configuration' | 'recent'>;
  /** Detaches everybody, says GOAWAY and resolves when the link is closed. */
  stop(): Promise<void>;
}

/** What a mediator is started with besides its configuration. */
export interface MediatorOptions {
  /** Name and version of the program, e.g. `entremise/0.1.0`. */
  readonly software: string;
  readonly log?: Log;
  readonly native?: NativeSockets;
  /** What the owner says besides the configuration; the program's, when it outlives one start. */
  readonly consent?: Consent;
}

function sameButForOwner(before: MediatorConfig, after: MediatorConfig): boolean {
  return isDeepStrictEqual(before, { ...after, owner: before.owner });
}

/**
 * Starts a mediator.
 * @throws EntremiseError `not-enrolled`, `state-unreadable`, `document-invalid`, `key-revoked`
 */
export async function startMediator(
  config: MediatorConfig,
  options: MediatorOptions,
): Promise<RunningMediator> {
  const { software, log = createLog(config.logLevel) } = options;
  const { native, problem } = options.native === undefined ? findAddon() : { native: options.native };
  if (problem !== undefined) log.warn({ reason: problem }, 'works without the native addon, which is less');
  const clock = systemClock;
  const watcher = watcherOfMachine(native, clock, config.networkFile, () => onEnvironmentChanged());
  const audit = new AuditFile(config.auditFile, () => clock.wallTimeMs(), config.auditMaxBytes);
  const heads = new AuditHeads(audit, log);
  const { consent = new Consent(config.stateDir, clock) } = options;
  const owner = new Owner(config.owner, factsOf(watcher.current, config.owner.lan), consent, clock);
  let offline: Deferred<void> = deferred();
  let link: MemberLink | undefined;
  let cancelReport = () => {};
  const wan = (address: string) => wanTowards(watcher.current, address);
  const udp = new UdpPath({
    clock,
    log,
    directory: config.stateDir,
    unitMs: config.ladderUnitMs,
    rekeyPackets: config.rekeyPackets,
    random: Math.random,
    wan,
    isOwn: isOwnAddress,
    openRelay: bestRelay(clock, native),
    proxied: proxySetting(config.proxy) !== undefined,
    onChange: () => reportSoon(),
  });
  const wire = new WireView({
    native,
    clock,
    log,
    interfaces: () => watcher.current.interfaces,
    facts: () => owner.facts,
    onChange: () => reportSoon(),
  });
  const survey = new DeviceSurvey({
    native,
    clock,
    read: readIfThere,
    leaseFiles: config.leaseFiles,
    environment: () => watcher.current,
    facts: () => owner.facts,
  });
  const linkFacts = new LinkFacts(clock.wallTimeMs());
  const way = new LinkWay(wan, log);

  const member = await startMember({
    directory: new MemberDirectory(config.stateDir),
    role: 'mediator',
    software,
    capabilities: [...(wire.report.from === 'wire' ? [wireEvents] : []), auditHeads],
    clock,
    log,
    servers: config.servers,
    proxy: config.proxy,
    ...(config.keepaliveMs === undefined ? {} : { keepaliveMs: config.keepaliveMs }),
    unitMs: config.ladderUnitMs,
    wan,
    tune: socket => native && tuneLink(native, socket, notSentLowatBytes),
    handlers: {
      onOnline(up, { serverBootId }) {
        offline = deferred();
        link = up;
        linkFacts.onOnline(up.driver.remote, clock.wallTimeMs());
        way.onOnline(up);
        log.info({}, 'online');
        watcher.look();
        sendReport();
        udp.onOnline(up, serverBootId);
      },
      onOffline(error, retryInMs) {
        link = undefined;
        way.onOffline();
        const isNews = linkFacts.onOffline(error, clock.wallTimeMs());
        offline.resolve();
        udp.onOffline();
        const fields = { code: error.code, reason: error.message, retryInMs };
        // A night without a line is one line of the log, not one a try.
        if (isNews) log.info(fields, 'offline');
        else log.debug(fields, 'still offline');
      },
      onAttach(message) {
        if (link !== undefined) agent.onAttach(link, message);
      },
      onAttached: () => {},
      onPresence: () => {},
      onService: () => {},
      onChannel: message => udp.onMessage(message),
      onAudithead: message => heads.onHead(message),
    },
  });

  const { trust, key: signer, instance } = member;
  const agent = new MediatorAgent({
    signer,
    instance,
    capabilities: [],
    verifyGrant: text => trust.verifyGrant(text),
    basis: {
      owner: () => owner.side,
      request: () => ({ mediator: trust.own, trust: trust.current }),
      now: () => clock.now(),
    },
    audit,
    native,
    hub: udp.hub,
    channels: udp,
    clock,
    log,
    maxHoldMs: config.maxHoldMs,
    receiveBudgetBytes: config.receiveBudgetBytes,
    replayBudgetBytes: config.replayBudgetBytes,
    lookup: lookupName,
    devices: () => survey.devices,
    wire,
  });

  /** What changes in steps is told once (P1.8: within 5 s). */
  function reportSoon(): void {
    cancelReport();
    cancelReport = clock.after(reportPauseMs, sendReport);
  }

  function sendReport(): void {
    cancelReport();
    const { services } = config;
    const { facts, policy } = owner;
    const path = { ...udp.report(member.tcpInterval.intervalMs), ...linkFacts.report };
    const events = wire.report;
    const extras = { services, software, instance, facts, hide: policy.hide, path, events };
    const body = report.toBytes(reportOf(watcher.current, extras));
    link?.driver.send(frameType.report, body);
  }

  function onEnvironmentChanged(): void {
    owner.facts = factsOf(watcher.current, owner.policy.lan);
    log.info({}, 'environment changed');
    way.look();
    member.member.retryNow();
    sendReport();
    udp.onEnvironment();
    wire.onEnvironment();
    agent.reauthorise();
    // The network may be there again.
    member.member.retryNow();
  }

  const stopListening = trust.onChange(() => agent.reauthorise());
  consent.onChange = () => agent.reauthorise();
  const hours = new HoursWatch(
    clock,
    () => owner.policy,
    () => {
      log.info({}, "the owner's hours have begun or ended");
      agent.reauthorise();
    },
  );
  hours.start();
  watcher.start();
  const endThrift = keepGatewayMemory(native, clock);
  return {
    member,
    agent,
    adopt(next) {
      if (!sameButForOwner(config, next)) return false;
      audit.reopen();
      owner.policy = next.owner;
      owner.facts = factsOf(watcher.current, next.owner.lan);
      log.info({}, 'owner policy in force');
      watcher.look();
      member.member.retryNow();
      wire.onEnvironment();
      sendReport();
      agent.reauthorise();
      return true;
    },
    status: () => ({
      version: software,
      name: trust.own.name,
      link: linkFacts.status,
      ...(problem === undefined ? {} : { addonProblem: problem }),
      path: udp.report(member.tcpInterval.intervalMs),
      missingCapabilities: missingCapabilities(readIfThere('/proc/self/status')),
      stopped: consent.stopped,
      consent: consentStatus(owner.policy, consent, clock),
      attached: agent.status,
    }),
    async stop() {
      consent.onChange = () => {};
      stopListening();
      watcher.stop();
      hours.stop();
      endThrift();
      agent.stop();
      wire.stop();
      udp.stop();
      cancelReport();
      // The DETACHes go first: GOAWAY is the last that a link carries.
      await new Promise(resolve => setImmediate(resolve));
      const farewell = link === undefined ? Promise.resolve() : offline.promise;
      member.stop();
      const late = deferred<void>();
      const timer = setTimeout(() => late.resolve(), farewellMs);
      await Promise.race([farewell, late.promise]);
      clearTimeout(timer);
      audit.reopen();
    },
  };
}
