import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type FakeClock, fakeClock } from '../../base/clock.ts';
import { generateSigningKey, keyThumbprint, type SigningKey } from '../../base/keys.ts';
import { signJws } from '../../policy/jws.ts';
import { MemberDirectory } from '../directory.ts';

const hourS = 3600;

/** An operator that signs for one member, whose directory it has filled as an enrolment does; gone after the test. */
export class MemberLab {
  readonly path = mkdtempSync(join(tmpdir(), 'entremise-member-'));
  readonly directory = new MemberDirectory(join(this.path, 'state'));
  readonly clock: FakeClock = fakeClock(Date.UTC(2026, 11, 1));
  readonly authority = generateSigningKey();
  readonly successor = generateSigningKey();
  readonly pin = generateSigningKey().text;
  readonly key: SigningKey = this.directory.key();

  /** Makes one. */
  static async make(t: { teardown(run: () => void): void }): Promise<MemberLab> {
    const lab = new MemberLab();
    t.teardown(() => rmSync(lab.path, { recursive: true, force: true }));
    lab.directory.saveMembership({
      role: 'terminal',
      name: 'laptop',
      servers: ['server.example:443'],
      serverPins: [lab.pin],
      statement: await lab.statement(1),
      trust: await lab.trust(1),
    });
    return lab;
  }

  private get nowS(): number {
    return Math.floor(this.clock.wallTimeMs() / 1000);
  }

  /** A trust statement with these changes. */
  trust(seq: number, changes: object = {}, signer = this.authority): Promise<string> {
    const claims = { operator: 'Test Operator', seq, iat: this.nowS, serverPins: [this.pin] };
    const keys = { authorityKeys: [this.authority.text] };
    return signJws('entremise-trust+jwt', { ...claims, ...keys, ...changes }, signer);
  }

  /** The member's own statement. */
  statement(seq: number, changes: object = {}, signer = this.authority): Promise<string> {
    const claims = { key: this.key.text, role: 'terminal', name: 'laptop', labels: [], seq, iat: this.nowS };
    return signJws('entremise-member+jwt', { ...claims, ...changes }, signer);
  }

  /** A grant for the member, or for another key. */
  grant(jti: string, changes: object = {}, signer = this.authority): Promise<string> {
    const claims = {
      jti,
      iat: this.nowS,
      exp: this.nowS + hourS,
      cnf: { jkt: keyThumbprint(this.key.publicKey) },
      mediators: [{ name: 'gw-1' }],
      purpose: 'assistance',
      commands: ['open'],
    };
    return signJws('entremise-grant+jwt', { ...claims, ...changes }, signer);
  }
}
