import { randomBytes } from 'node:crypto';
import * as v from 'valibot';
import { type Clock, systemClock } from '../../base/clock.ts';
import { EntremiseError } from '../../base/errors.ts';
import { generateSigningKey, keyThumbprint, type SigningKey } from '../../base/keys.ts';
import { silentLog } from '../../base/log.ts';
import type { MemberChannels } from '../../member/channel-source.ts';
import { type NativeSockets, requireAddon } from '../../native/addon.ts';
import { type GatewayFacts, gatewayFacts } from '../../policy/gateway-facts.ts';
import { type AcceptedGrant, type GrantClaims, grantClaimsSchema } from '../../policy/grant.ts';
import type { MemberStatement } from '../../policy/member-statement.ts';
import { type OwnerPolicy, parseOwnerPolicy } from '../../policy/owner-policy.ts';
import type { CanonicalAddress } from '../../policy/target.ts';
import type { TrustStatement } from '../../policy/trust-statement.ts';
import { RelayHub } from '../../relay/relay-hub.ts';
import { ScriptRelay } from '../../relay/script-relay.ts';
import { MemberLink } from '../../session/member-link.ts';
import { memoryPair } from '../../transport/memory.ts';
import { MediatorAgent } from '../agent.ts';
import type { Audit, AuditEntry } from '../audit.ts';
import { weekMinuteOf } from '../control/hours-watch.ts';
import type { Device } from '../devices/device.ts';
import { ServerDouble } from './server-double.ts';

/**
 * A mediator for tests: the real agent, ports, sockets and link, over memory to a server in the test's hands. Loopback
 * is what tests can reach; grant and owner name it, since nothing else would let it be used.
 */

/** What the mediator under test believes and is allowed; a test changes it and calls {@link Rig.agent}.reauthorise(). */
export interface RigBasis {
  trust: TrustStatement;
  owner: OwnerPolicy;
  facts: GatewayFacts;
}

/** See the head of this file. */
export interface Rig {
  readonly agent: MediatorAgent;
  /** Of the newest link. */
  readonly server: ServerDouble;
  /** The newest link. */
  readonly link: MemberLink;
  /** Ends the mediator's link and makes another. */
  relink(): Promise<void>;
  readonly mediatorKey: SigningKey;
  readonly basis: RigBasis;
  /** Every audit line. */
  readonly lines: AuditEntry[];
  /** Set, and no line can be written. */
  readonly auditFault: { failing: boolean };
  readonly clock: Clock;
  readonly native: NativeSockets;
  /** Makes a grant for a terminal's key, known under its text. */
  grant(key: SigningKey, changes?: Partial<GrantClaims>, lifeMs?: number): AcceptedGrant;
  /** A terminal's key with its grant. */
  newKey(): { readonly key: SigningKey; readonly grant: AcceptedGrant };
  /** What names resolve to. */
  readonly names: Map<string, readonly CanonicalAddress[]>;
  /** Who is in the LAN. */
  readonly devices: Device[];
  close(): void;
}

/** What a rig may be given. */
export interface RigOptions {
  readonly clock?: Clock;
  readonly owner?: unknown;
  readonly receiveBudgetBytes?: number;
  readonly replayBudgetBytes?: number;
  /** The UDP channel; none when absent. */
  readonly channels?: MemberChannels;
  /** As a mediator whose addon is missing. */
  readonly withoutAddon?: boolean;
  /** Default: 15 minutes. */
  readonly maxHoldMs?: number;
}

const noChannel: MemberChannels = {
  cid: undefined,
  isTrying: false,
  watch: () => () => {},
  ownChannel: () => undefined,
};

/** What the owner of the gateway under test allows. */
export const ownerTable = {
  targets: { networks: ['loopback', 'lan'], tcp: ['1-65535'], udp: ['1-65535'] },
  ports: { addresses: ['loopback', 'wildcard'], tcp: ['1024-65535'], udp: ['1024-65535'] },
};

/** What a terminal's grant says unless a test says otherwise. */
const grantedClaims = {
  mediators: [{ name: 'gateway' }],
  purpose: 'assistance',
  commands: ['open', 'redirect', 'connect', 'listen', 'close', 'query', 'resolve', 'datagram'],
  targets: { networks: ['loopback', 'lan'], tcp: ['1-65535'], udp: ['1-65535'] },
  ports: { addresses: ['loopback', 'wildcard'], tcp: ['1024-65535'], udp: ['1024-65535'] },
} as const;

function emptyTrust(authorityKey: string): TrustStatement {
  return {
    operator: 'operator',
    seq: 1,
    issuedAtMs: 0,
    authorityKeys: [authorityKey],
    delegates: [],
    inviters: [],
    serverPins: [],
    serverAddresses: [],
    revokedGrants: new Set(),
    revokedKeys: new Set(),
    revokedThumbprints: new Set(),
    text: '',
    signer: authorityKey,
  };
}

function memoryAudit(lines: AuditEntry[], fault: { failing: boolean }): Audit {
  return {
    write(entry) {
      if (fault.failing) throw new EntremiseError('audit-unavailable');
      lines.push(entry);
    },
  };
}

/** Makes one and waits until its mediator is welcome at the server. */
export async function makeRig(options: RigOptions = {}): Promise<Rig> {
  const { clock = systemClock, owner = ownerTable } = options;
  const native = requireAddon();
  const hub = new RelayHub(
    handlers =>
      new ScriptRelay({
        clock,
        handlers,
        owner: options.withoutAddon === true ? undefined : native,
      }),
  );
  const mediatorKey = generateSigningKey();
  const authority = generateSigningKey();
  const grants = new Map<string, AcceptedGrant>();
  const lines: AuditEntry[] = [];
  const auditFault = { failing: false };
  const names = new Map<string, readonly CanonicalAddress[]>();
  const devices: Device[] = [];
  const basis: RigBasis = {
    trust: emptyTrust(authority.text),
    owner: parseOwnerPolicy(owner, 'test'),
    facts: gatewayFacts(
      [
        {
          name: 'lo',
          addresses: [
            { address: '127.0.0.1', prefixLength: 8 },
            { address: '::1', prefixLength: 128 },
          ],
        },
        { name: 'br-lan', addresses: [{ address: '192.168.77.1', prefixLength: 24 }] },
      ],
      [],
    ),
  };
  const mediator: MemberStatement = {
    key: mediatorKey.text,
    role: 'mediator',
    name: 'gateway',
    labels: [],
    ...{ seq: 1, issuedAtMs: 0, signer: '', invited: undefined, text: '' },
  };
  const agent = new MediatorAgent({
    signer: mediatorKey,
    instance: randomBytes(16),
    capabilities: [],
    async verifyGrant(text) {
      const found = grants.get(text);
      if (found !== undefined) return found;
      throw new EntremiseError('grant-invalid');
    },
    basis: {
      owner: () => ({
        policy: basis.owner,
        facts: basis.facts,
        weekMinute: weekMinuteOf(clock),
        consentUntilMs: {},
      }),
      request: () => ({ mediator, trust: basis.trust }),
      now: () => clock.now(),
    },
    audit: memoryAudit(lines, auditFault),
    native: options.withoutAddon === true ? undefined : native,
    hub,
    channels: options.channels ?? noChannel,
    clock,
    log: silentLog(),
    maxHoldMs: options.maxHoldMs ?? 900_000,
    receiveBudgetBytes: options.receiveBudgetBytes ?? 8 * 1024 * 1024,
    replayBudgetBytes: options.replayBudgetBytes ?? 4 * 1024 * 1024,
    async lookup(name) {
      const found = names.get(name);
      if (found !== undefined) return found;
      throw new EntremiseError('no-such-name');
    },
    devices: () => devices,
  });
  let current = await linked(agent, mediatorKey);
  const rig: Rig = {
    agent,
    get server() {
      return current.server;
    },
    get link() {
      return current.link;
    },
    async relink() {
      current.link.driver.close('link-lost');
      current = await linked(agent, mediatorKey);
    },
    mediatorKey,
    basis,
    lines,
    auditFault,
    clock,
    native,
    names,
    devices,
    grant(key, changes = {}, lifeMs = 3_600_000) {
      const text = `grant ${grants.size + 1}`;
      const jti = `grant-${grants.size + 1}-rig`;
      const claims = v.parse(grantClaimsSchema, {
        ...grantedClaims,
        jti,
        iat: 0,
        exp: 3600,
        cnf: { jkt: keyThumbprint(key.publicKey) },
        ...changes,
      });
      const { iat, exp, cnf, jti: id, ...said } = claims;
      const accepted: AcceptedGrant = {
        ...said,
        id,
        terminalThumbprint: cnf.jkt,
        issuedAtMs: iat,
        expiresAtMs: exp,
        signer: authority.text,
        text,
        deadlineMs: clock.now() + lifeMs,
      };
      grants.set(text, accepted);
      return accepted;
    },
    newKey() {
      const key = generateSigningKey();
      return { key, grant: rig.grant(key) };
    },
    close() {
      agent.stop();
      hub.close();
      current.link.driver.close('shutting-down');
    },
  };
  return rig;
}

/** The mediator's real link to a server double. Its upkeep goes by the real time, whatever the agent's clock does. */
export async function linked(
  agent: MediatorAgent,
  signer: SigningKey,
): Promise<{ server: ServerDouble; link: MemberLink }> {
  // By turns of the event loop: microtasks would starve the sockets of the test.
  const pair = memoryPair({ defer: setImmediate });
  const server = new ServerDouble(pair.server);
  const identity = {
    role: 'mediator',
    signer,
    instance: randomBytes(16),
    software: 'test',
    capabilities: [],
  } as const;
  const link: MemberLink = new MemberLink(
    { transport: pair.client, clock: systemClock, log: silentLog(), keepaliveMs: 25_000 },
    identity,
    1,
    {
      onWelcome: () => {},
      onAttach: message => agent.onAttach(link, message),
      onAttached: () => {},
      onPresence: () => {},
      onStatement: () => {},
      onService: () => {},
      onClosed: () => {},
    },
  );
  link.start();
  await server.online;
  return { server, link };
}
