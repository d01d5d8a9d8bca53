import type { ExecutionContext } from 'ava';
import type { AccessRequest, Command, OwnerSide } from './access-request.ts';
import { authorise } from './authorise.ts';
import { testGrant, testKeys, testMediator, testTrust } from './fixtures.ts';
import { gatewayFacts } from './gateway-facts.ts';
import type { GrantClaims } from './grant.ts';
import { parseOwnerPolicy } from './owner-policy.ts';
import type { PermissionVerb } from './schema.ts';
import { canonicalAddress } from './target.ts';
import type { Denial, Verdict } from './verdict.ts';

/** A gateway with a LAN and an outer side. */
export const facts = gatewayFacts(
  [
    {
      name: 'lo',
      addresses: [
        { address: '127.0.0.1', prefixLength: 8 },
        { address: '::1', prefixLength: 128 },
      ],
    },
    {
      name: 'br-lan',
      addresses: [
        { address: '192.168.1.1', prefixLength: 24 },
        { address: 'fd00:1::1', prefixLength: 64 },
      ],
    },
    { name: 'wan', addresses: [{ address: '203.0.113.9', prefixLength: 24 }] },
  ],
  ['wan'],
);
/** The owner's side, with this `[owner]` table. */
export const ownerSide = (
  table: object = {},
  consentUntilMs: OwnerSide['consentUntilMs'] = {},
  weekMinute = 0,
): OwnerSide => ({
  policy: parseOwnerPolicy(table, 'test'),
  facts,
  weekMinute,
  consentUntilMs,
});

const { terminal } = testKeys;
/** A device of the LAN. */
export const device = canonicalAddress('192.168.1.10');
/** The gateway's own address on the LAN. */
export const gatewayLan = canonicalAddress('192.168.1.1');

/** Each verb with a command that the plain grant and the plain owner both allow. */
export const usual: Readonly<Record<'attach' | PermissionVerb, Command>> = {
  attach: { verb: 'attach', terminalKey: terminal.publicKey, purpose: 'assistance' },
  open: { verb: 'open', protocol: 'udp', address: gatewayLan, number: { choice: 'mandatory', number: 5060 } },
  redirect: {
    verb: 'redirect',
    port: { address: gatewayLan, number: { choice: 'preferred', number: 5060 } },
  },
  connect: { verb: 'connect', target: device, number: 80 },
  listen: { verb: 'listen', port: { address: gatewayLan, number: 8080 } },
  close: { verb: 'close' },
  query: { verb: 'query' },
  resolve: { verb: 'resolve', name: 'printer.lan' },
  datagram: { verb: 'datagram', target: device, number: 53 },
};
/** Every verb. */
export const verbs = Object.keys(usual) as (keyof typeof usual)[];

/** What differs from the usual. */
export interface Scene {
  readonly grant?: Partial<GrantClaims>;
  readonly owner?: OwnerSide | undefined;
  readonly request?: Partial<Omit<AccessRequest, 'command'>>;
  readonly nowMs?: number;
}

/** The verdict on a command by the usual grant and owner, or as the scene says. */
export async function ask(command: Command, scene: Scene = {}): Promise<Verdict> {
  const request = { mediator: await testMediator(), trust: await testTrust(), ...scene.request, command };
  const owner = 'owner' in scene ? scene.owner : ownerSide();
  return authorise(await testGrant(scene.grant), owner, request, scene.nowMs ?? 0);
}

/** What a denial must say. */
export type Expected = Pick<Denial, 'code' | 'by' | 'field'>;

/** Asserts a denial with its sentence. */
export async function denies(
  t: ExecutionContext,
  verdict: Promise<Verdict>,
  expected: Expected,
): Promise<void> {
  const denial = await verdict;
  t.like(denial, { allowed: false, ...expected });
  const message = denial.allowed ? '' : denial.message;
  t.regex(message, /^[A-Z][^\n]{20,400}\.$/, 'one sentence');
  if (expected.code === 'not-permitted')
    t.true(message.includes(expected.field), `${message} names ${expected.field}`);
}
