import { hostname } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../src/base/clock.ts';
import { silentLog } from '../../src/base/log.ts';
import { MediatorAgent } from '../../src/mediator/agent.ts';
import { AuditFile } from '../../src/mediator/audit.ts';
import { Consent } from '../../src/mediator/control/consent.ts';
import { Owner } from '../../src/mediator/control/owner.ts';
import { reportOf } from '../../src/mediator/environment/environment.ts';
import { lookupName } from '../../src/mediator/lookup.ts';
import { MemberDirectory } from '../../src/member/directory.ts';
import { type RunningMember, startMember } from '../../src/member/running-member.ts';
import { UdpPath } from '../../src/member/udp-path.ts';
import { loadAddon } from '../../src/native/addon.ts';
import { tuneLink } from '../../src/native/link-socket.ts';
import { gatewayFacts } from '../../src/policy/gateway-facts.ts';
import { defaultOwnerPolicy } from '../../src/policy/owner-policy.ts';
import { parseServerAddress } from '../../src/policy/server-address.ts';
import { ScriptRelay } from '../../src/relay/script-relay.ts';
import type { MemberLink } from '../../src/session/member-link.ts';
import { report } from '../../src/wire/messages/report.ts';
import { frameType } from '../../src/wire/spec.ts';
import { servicePort } from '../site.ts';

/**
 * A mediator of which hundreds fit in one process: its member with TLS link, UDP channel and all that keeps them up, its
 * agent, policy, ports and audit are the real ones; of the gateway it knows one address, and nothing watches a machine
 * that hundreds share.
 */

/** Of a link, as the mediator's own program tunes it. */
const notSentLowatBytes = 16 * 1024;

/** What is simulated. */
export interface SimulatedMediatorOptions {
  /** Where it has enrolled. */
  readonly directory: string;
  /** Its own address, by which it reaches the server, too. */
  readonly address: string;
  onOnline(): void;
  /** `retryInMs`: until the next try. */
  onOffline(retryInMs: number): void;
}

const native = loadAddon();

/** Its LAN is the network around its one address. */
function lanOf(address: string) {
  return gatewayFacts([{ name: 'br-lan', addresses: [{ address, prefixLength: 24 }] }], []);
}

function environmentOf(address: string) {
  const addresses = [{ address, prefixLength: 24 }];
  return {
    model: 'Simulated gateway',
    release: 'OpenWrt 24.10.0',
    bootId: undefined,
    hostname: hostname(),
    interfaces: [{ name: 'br-lan', up: true, addresses }],
    routes: [],
    strayAddresses: [],
    board: undefined,
    networks: [],
    prefixes: [],
  };
}

/** Starts one. */
export async function startSimulatedMediator(options: SimulatedMediatorOptions): Promise<RunningMember> {
  const { directory, address } = options;
  const clock = systemClock;
  const log = silentLog();
  const facts = lanOf(address);
  const owner = new Owner(defaultOwnerPolicy, facts, new Consent(directory, clock), clock);
  const audit = new AuditFile(join(directory, 'audit.jsonl'), () => clock.wallTimeMs());
  const udp = new UdpPath({
    clock,
    log,
    directory,
    random: Math.random,
    wan: () => 'simulated',
    isOwn: () => false,
    openRelay: handlers => new ScriptRelay({ clock, handlers, owner: native }),
    onChange: () => {},
  });
  let link: MemberLink | undefined;
  const sendReport = () => {
    const path = udp.report(member.tcpInterval.intervalMs);
    const extras = { services: [], software: 'simulated', instance: member.instance, facts, hide: [], path };
    link?.driver.send(frameType.report, report.toBytes(reportOf(environmentOf(address), extras)));
  };
  const member = await startMember({
    directory: new MemberDirectory(directory),
    role: 'mediator',
    software: 'simulated',
    capabilities: [],
    clock,
    log,
    servers: [parseServerAddress(`${address}:${servicePort}`)],
    tune: socket => native && tuneLink(native, socket, notSentLowatBytes),
    handlers: {
      onOnline(up, { serverBootId }) {
        link = up;
        options.onOnline();
        sendReport();
        udp.onOnline(up, serverBootId);
      },
      onOffline(_error, retryInMs) {
        link = undefined;
        udp.onOffline();
        options.onOffline(retryInMs);
      },
      onAttach(message) {
        if (link !== undefined) agent.onAttach(link, message);
      },
      onAttached: () => {},
      onPresence: () => {},
      onService: () => {},
      onChannel: message => udp.onMessage(message),
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
    maxHoldMs: 900_000,
    receiveBudgetBytes: 8 * 1024 * 1024,
    replayBudgetBytes: 6 * 1024 * 1024,
    lookup: lookupName,
    devices: () => [],
  });
  return member;
}
