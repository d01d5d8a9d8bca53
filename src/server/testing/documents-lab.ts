import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type FakeClock, fakeClock } from '../../base/clock.ts';
import { generateSigningKey, type SigningKey } from '../../base/keys.ts';
import { createLog } from '../../base/log.ts';
import { type MemberStatement, signEnrolment } from '../../policy/documents.ts';
import { invitationKeyOf, parseEnrolmentCode } from '../../policy/enrolment-code.ts';
import { type DocumentChange, Documents } from '../documents.ts';
import { Store } from '../store.ts';
import { TestAuthority, type TestIdentity, type TrustWish } from './test-authority.ts';

/** An identity with what a test does not care about filled in. */
export type IdentityWish = Partial<TestIdentity> & { readonly name: string };

function identityOf({ role = 'terminal', name, labels = [] }: IdentityWish): TestIdentity {
  return { role, name, labels };
}

/** The documents of a server with a store on disk and a clock moved by hand, but without switch and network. */
export class DocumentsLab {
  readonly directory = mkdtempSync(join(tmpdir(), 'entremise-documents-'));
  readonly stateDir = join(this.directory, 'state');
  readonly clock: FakeClock = fakeClock(Date.UTC(2026, 10, 22));
  readonly authority = new TestAuthority();
  readonly changes: DocumentChange[] = [];
  readonly audit: { action: string; fields: Readonly<Record<string, unknown>> }[] = [];
  auditFails = false;
  private openStore: Store | undefined;
  private loaded: Documents | undefined;

  /** Makes one, with a first trust statement unless `untrusted`; gone after the test. */
  static async make(
    t: { teardown(run: () => void): void },
    { untrusted = false } = {},
  ): Promise<DocumentsLab> {
    const lab = new DocumentsLab();
    t.teardown(() => {
      lab.store.close();
      rmSync(lab.directory, { recursive: true, force: true });
    });
    await lab.open();
    if (!untrusted) await lab.push(await lab.trust({ serverPins: [generateSigningKey().text] }));
    return lab;
  }

  private async open(): Promise<void> {
    const store = await Store.open(this.stateDir);
    this.openStore = store;
    this.loaded = await Documents.load({
      store,
      clock: this.clock,
      log: createLog('silent'),
      authorityKey: this.authority.key.text,
      onChange: change => this.changes.push(change),
      audit: (action, fields) => {
        if (this.auditFails) throw new Error('no space left on device');
        this.audit.push({ action, fields });
      },
    });
  }

  /** As a server that ends and begins again. */
  async restart(): Promise<void> {
    this.store.close();
    await this.open();
  }

  /** The documents as the server sees them. */
  get documents(): Documents {
    if (this.loaded === undefined) throw new Error('not open');
    return this.loaded;
  }

  /** What is on disk. */
  get store(): Store {
    if (this.openStore === undefined) throw new Error('not open');
    return this.openStore;
  }

  /** Hands a document over; throws when it is not accepted. */
  async push(text: string): Promise<void> {
    const code = await this.documents.accept(text);
    if (code !== undefined) throw new Error(`refused: ${code}`);
  }

  /** A trust statement, signed. */
  trust(wish: TrustWish = {}): Promise<string> {
    return this.authority.trust(wish, this.clock.wallTimeMs());
  }

  /** The authority's word on a key. */
  member(key: SigningKey, identity: IdentityWish): Promise<string> {
    return this.authority.member(key.text, identityOf(identity), this.clock.wallTimeMs());
  }

  /** A grant, signed. */
  grant(key: SigningKey, claims = {}): Promise<string> {
    return this.authority.grant(key.text, claims, this.clock.wallTimeMs());
  }

  /** A code, whose invitation the documents know unless `unknown`. */
  async invite(
    identity: IdentityWish,
    { lifeMs = 600_000, unknown = false, signer = this.authority.key } = {},
  ): Promise<Invited> {
    const nowMs = this.clock.wallTimeMs();
    const made = await this.authority.invite(identityOf(identity), nowMs, lifeMs, signer);
    if (!unknown) await this.push(made.invitation);
    const key = invitationKeyOf(parseEnrolmentCode(made.code));
    const enrolmentFor = (member: SigningKey) => signEnrolment(key, member.text, this.clock.wallTimeMs());
    return { ...made, key, enrolmentFor };
  }

  /** What PROOF with a code comes to. */
  async enrol(
    invited: Invited,
    key: SigningKey,
    role: TestIdentity['role'] = 'terminal',
  ): Promise<MemberStatement> {
    const enrolment = await invited.enrolmentFor(key);
    return this.documents.enrol({ key: key.text, role, enrolment });
  }
}

/** A code, its invitation, and what its holder can sign with it. */
export interface Invited {
  readonly code: string;
  readonly invitation: string;
  readonly key: SigningKey;
  enrolmentFor(member: SigningKey): Promise<string>;
}
