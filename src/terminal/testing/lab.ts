import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { systemClock } from '../../base/clock.ts';
import { saveSigningKey } from '../../base/keys.ts';
import { silentLog } from '../../base/log.ts';
import { MemberDirectory } from '../../member/directory.ts';
import { TrustKeeper } from '../../member/trust-keeper.ts';
import {
  signTestGrant,
  signTestTrust,
  testKeys,
  testMediator,
  testMediatorClaims,
} from '../../policy/fixtures.ts';
import type { GrantClaims } from '../../policy/grant.ts';
import { signJws } from '../../policy/jws.ts';
import { memberStatementRules } from '../../policy/member-statement.ts';
import { Member } from '../../session/member.ts';
import type { PresenceEntry } from '../../wire/messages/report.ts';
import type { MediatorAttachment } from '../mediator-attachment.ts';
import { startTerminal, type Terminal, type TerminalOptions } from '../terminal.ts';
import { FakeServer } from './fake-server.ts';

/** A terminal whose server and mediator are fakes. */
export interface Lab {
  readonly terminal: Terminal;
  readonly server: FakeServer;
  readonly trust: TrustKeeper;
}

/** Seconds since 1970. */
export const nowS = () => Math.floor(Date.now() / 1000);

/** PRESENCE's entry for the mediator gw-1, with other fields where said. */
export async function mediatorEntry(changes: Partial<PresenceEntry> = {}): Promise<PresenceEntry> {
  const { text } = await testMediator();
  const fields = { key: testKeys.mediator.publicKey, statement: text, online: true, sinceMs: Date.now() };
  return { ...fields, roundTripMs: 3, observed: '192.0.2.7:40000', ...changes };
}

/** A grant for gw-1 that holds now, with other claims where said. */
export function currentGrant(claims: Partial<GrantClaims> = {}): Promise<string> {
  return signTestGrant({ iat: nowS() - 60, exp: nowS() + 3600, ...claims });
}

/** What a lab is made of. */
export interface LabOptions extends Partial<TerminalOptions> {
  /** Texts of the terminal's grants; one good one when absent. */
  readonly grants?: readonly string[];
  /** Whom the server tells of; gw-1, online, when absent. */
  readonly entries?: readonly PresenceEntry[];
}

async function memberDirectory(t: ExecutionContext, grants: readonly string[]): Promise<MemberDirectory> {
  const path = mkdtempSync(join(tmpdir(), 'entremise-terminal-'));
  t.teardown(() => rmSync(path, { recursive: true, force: true }));
  saveSigningKey(join(path, 'member.key'), testKeys.terminal);
  const directory = new MemberDirectory(path);
  const claims = { ...testMediatorClaims, key: testKeys.terminal.text, role: 'terminal', name: 'desk' };
  directory.saveMembership({
    role: 'terminal',
    name: 'desk',
    servers: ['server.example:443'],
    serverPins: [],
    statement: await signJws(memberStatementRules.typ, claims, testKeys.authority),
    trust: await signTestTrust(),
  });
  for (const [index, text] of grants.entries()) directory.saveGrant(`grant-${index}`, text);
  return directory;
}

/** A started terminal; everything is closed when the test ends. */
export async function lab(t: ExecutionContext, options: LabOptions = {}): Promise<Lab> {
  const { grants = [await currentGrant()], entries = [await mediatorEntry()], clock = systemClock } = options;
  const directory = await memberDirectory(t, grants);
  const log = silentLog();
  const trust = await TrustKeeper.load({ directory, clock: systemClock, log });
  const server = new FakeServer();
  server.presence = { entries, complete: true };
  const key = directory.key();
  const instance = randomBytes(16);
  const identity = { role: 'terminal' as const, signer: key, instance, software: 'test', capabilities: [] };
  const terminal = await startTerminal(
    async handlers => {
      const connection = { connect: () => server.connect(), identity, clock: systemClock, log };
      const onStatement = () => {};
      const member = new Member(
        { ...connection, keepaliveMs: () => 25_000, random: () => 0 },
        { ...handlers, onStatement },
      );
      member.start();
      return {
        key,
        instance,
        trust,
        member,
        stop: () => member.stop(),
        storedGrants: () => directory.grants(),
      };
    },
    { ...options, clock },
  );
  t.teardown(async () => {
    await terminal.close();
    server.close();
  });
  return { terminal, server, trust };
}

/** A lab whose terminal has attached to gw-1. */
export async function attachedLab(
  t: ExecutionContext,
  options: LabOptions = {},
): Promise<Lab & { readonly attachment: MediatorAttachment }> {
  const made = await lab(t, options);
  return { ...made, attachment: await made.terminal.attach('gw-1') };
}
