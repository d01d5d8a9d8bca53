import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { systemClock } from '../../base/clock.ts';
import { generateSigningKey, type SigningKey } from '../../base/keys.ts';
import { signEnrolment } from '../../policy/documents.ts';
import { invitationKeyOf, parseEnrolmentCode } from '../../policy/enrolment-code.ts';
import type { GrantClaims } from '../../policy/grant.ts';
import { parseServerAddress } from '../../policy/server-address.ts';
import { LabMember } from '../../switch/testing/lab-member.ts';
import { connectTls } from '../../transport/tls.ts';
import type { Transport } from '../../transport/transport.ts';
import type { Role } from '../../wire/messages/link.ts';
import { alpnProtocol } from '../../wire/spec.ts';
import { readServerConfig } from '../config.ts';
import { initServer } from '../init.ts';
import { type Server, startServer } from '../server.ts';
import { LeapClock } from './leap-clock.ts';
import { TestAuthority, type TrustWish } from './test-authority.ts';

/** A member over real TLS. */
export type TestMember = LabMember<Transport>;

/** What a test may say of a member that enrols. */
export interface EnrolWish {
  readonly role: Role;
  readonly name: string;
  readonly labels?: readonly string[];
  readonly key?: SigningKey;
  /** Instead of a fresh one. */
  readonly code?: string;
}

/** How a member connects, if not to the operator's own server as a life of its own. */
export interface ConnectWish {
  readonly port?: number;
  readonly instance?: Buffer;
  readonly linkNo?: number;
}

/**
 * A whole operator for tests, in a directory that goes when the test does: an authority, a server made by the same code
 * as a real one, listening on loopback, and members that reach it over TLS. Its wall clock can be set forward.
 */
export class TestOperator {
  readonly directory = mkdtempSync(join(tmpdir(), 'entremise-server-'));
  readonly stateDir = join(this.directory, 'server');
  readonly authority = new TestAuthority();
  /** The server's clock. */
  readonly clock = new LeapClock();
  /** What the server has logged. */
  readonly logged: Record<string, unknown>[] = [];
  private readonly log = pino({ base: null }, { write: line => this.logged.push(JSON.parse(line)) });
  private running: Server | undefined;
  private pin = '';
  private readonly members: TestMember[] = [];

  /** Makes and starts the server, and gives it its first trust statement unless `untrusted`. */
  static async start(untrusted = false): Promise<TestOperator> {
    const operator = new TestOperator();
    const authorityKey = operator.authority.key.text;
    const listen = parseServerAddress('127.0.0.1:8443');
    const { pin } = await initServer({ stateDir: operator.stateDir, authorityKey, listen, addresses: [] });
    operator.pin = pin;
    await operator.startServer();
    if (!untrusted) await operator.push(await operator.issueTrust({ serverPins: [pin] }));
    return operator;
  }

  /** Starts the server on its state. */
  async startServer(): Promise<void> {
    const config = readServerConfig(this.stateDir);
    const listen = { ...config.listen, number: 0 };
    this.running = await startServer({ config: { ...config, listen }, clock: this.clock, log: this.log });
  }

  /** The server that runs. */
  get server(): Server {
    if (this.running === undefined) throw new Error('the server does not run');
    return this.running;
  }

  /** Ends the server, keeping its state. */
  async stopServer(): Promise<void> {
    const { running } = this;
    this.running = undefined;
    await running?.close();
  }

  /** Ends everything and leaves nothing. */
  async end(): Promise<void> {
    for (const { transport } of this.members) transport.destroy();
    await this.stopServer();
    rmSync(this.directory, { recursive: true, force: true });
  }

  /** A new trust statement, as text. */
  issueTrust(wish: TrustWish): Promise<string> {
    return this.authority.trust(wish, this.clock.wallTimeMs());
  }

  /** Hands a document to the server, as its inbox does; throws when it is not accepted. */
  async push(document: string): Promise<void> {
    const code = await this.server.documents.accept(document);
    if (code !== undefined) throw new Error(`the document was refused: ${code}`);
  }

  /** An enrolment code whose invitation the server has. */
  async invite({ role, name, labels = [] }: EnrolWish, lifeMs = 600_000): Promise<string> {
    const nowMs = this.clock.wallTimeMs();
    const { code, invitation } = await this.authority.invite({ role, name, labels }, nowMs, lifeMs);
    await this.push(invitation);
    return code;
  }

  /** A grant that the server has, as text; for mediators labelled `lab` unless said otherwise. */
  async grant(terminal: string, claims: Partial<GrantClaims> = {}): Promise<string> {
    const text = await this.authority.grant(terminal, claims, this.clock.wallTimeMs());
    await this.push(text);
    return text;
  }

  /** Connects a member with this key, which may or may not be enrolled. */
  async connect(
    role: Role,
    key: SigningKey,
    enrolCode?: string,
    { port = this.server.number, ...life }: ConnectWish = {},
  ): Promise<TestMember> {
    const transport = await connectTls({
      host: '127.0.0.1',
      port,
      alpn: alpnProtocol,
      expectedPins: [Buffer.from(this.pin, 'base64url')],
      timeoutMs: 10_000,
    });
    const enrolment =
      enrolCode === undefined ? {} : { enrolment: await this.enrolmentWith(enrolCode, key.text) };
    const member = new LabMember<Transport>(transport, systemClock, {
      role,
      key,
      tap: true,
      ...enrolment,
      ...life,
    });
    this.members.push(member);
    member.link.start();
    return member;
  }

  private async enrolmentWith(code: string, key: string) {
    const invitationKey = invitationKeyOf(parseEnrolmentCode(code));
    return { check: () => {}, statement: await signEnrolment(invitationKey, key, Date.now()) };
  }

  /** Enrols a member with a code and waits until it is welcome. */
  async enrol(wish: EnrolWish): Promise<TestMember> {
    const code = wish.code ?? (await this.invite(wish));
    const member = await this.connect(wish.role, wish.key ?? generateSigningKey(), code);
    await until(() => member.welcomed !== undefined || member.closed !== undefined, 'the server answers');
    if (member.closed !== undefined) throw member.closed;
    return member;
  }

  /** Lines of the server's audit. */
  audit(): Record<string, unknown>[] {
    const text = readFileSync(join(this.stateDir, 'audit.jsonl'), 'utf8');
    return text
      .split('\n')
      .filter(line => line !== '')
      .map(line => JSON.parse(line) as Record<string, unknown>);
  }
}

/** Waits until `predicate` gives a true value; fails after 30 s, saying what did not come. */
export async function until(predicate: () => unknown, what: string): Promise<void> {
  for (const endMs = Date.now() + 30_000; Date.now() < endMs; ) {
    if (await predicate()) return;
    await new Promise(resolve => setTimeout(resolve, 2));
  }
  throw new Error(`It never came about that ${what}.`);
}

/** Documents that a member was sent. */
export function documentsOf(member: TestMember): string[] {
  return member.statements.flatMap(({ documents = [] }) => documents);
}
