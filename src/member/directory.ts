import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import * as v from 'valibot';
import { EntremiseError } from '../base/errors.ts';
import { loadOrCreateSigningKey, type SigningKey } from '../base/keys.ts';
import { readStateFileIfPresent, writePrivateFile } from '../base/state-file.ts';

/**
 * What a member keeps on disk, in one directory (0700): `member.key`, `membership.json`, `last-server.json`, and a
 * terminal its grants in `grants/`. Written rarely and atomically; losing the directory means enrolling again, nothing more.
 */

/** What a member knows of its operator since it enrolled (P6.5). */
export interface Membership {
  readonly role: 'mediator' | 'terminal';
  readonly name: string;
  /** Where the server was reached when enrolling, as `host:number`; the trust statement may know better. */
  readonly servers: readonly string[];
  /** SHA-256 of the SPKI of the server's key, base64url, as the enrolment code vouched for it. */
  readonly serverPins: readonly string[];
  /** The member's own statement. */
  readonly statement: string;
  /** The newest trust statement. */
  readonly trust: string;
}

/** Where a server has answered, so that it is tried first, and without DNS if need be. */
export interface LastServer {
  /** `host:number`, as the operator writes it. */
  readonly server: string;
  /** IP addresses that the host had. */
  readonly addresses: readonly string[];
}

const texts = v.array(v.string());
const membershipSchema = v.object({
  role: v.picklist(['mediator', 'terminal']),
  name: v.string(),
  servers: texts,
  serverPins: texts,
  statement: v.string(),
  trust: v.string(),
});

const lastServerSchema = v.object({ server: v.string(), addresses: texts });

/** The directory of one member; see the head of this file. */
export class MemberDirectory {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  /**
   * The member's key, made here when there is none.
   * @throws EntremiseError `state-unreadable`
   */
  key(): SigningKey {
    return loadOrCreateSigningKey(join(this.path, 'member.key'));
  }

  private get membershipPath(): string {
    return join(this.path, 'membership.json');
  }

  /**
   * What is known since the enrolment, or undefined when the member has not enrolled.
   * @throws EntremiseError `state-unreadable`
   */
  membership(): Membership | undefined {
    const bytes = readStateFileIfPresent(this.membershipPath);
    if (bytes === undefined) return undefined;
    try {
      return v.parse(membershipSchema, JSON.parse(bytes.toString('utf8')));
    } catch (cause) {
      const message = `${this.membershipPath} is damaged; restore it from a backup, or move it away and enrol again.`;
      throw new EntremiseError('state-unreadable', { message, cause });
    }
  }

  /**
   * As {@link membership}, for what needs one.
   * @throws EntremiseError `not-enrolled`, saying how to enrol
   */
  requireMembership(): Membership {
    const membership = this.membership();
    if (membership !== undefined) return membership;
    throw new EntremiseError('not-enrolled', {
      message: `${this.path} holds no membership: enrol first with the code that the operator gives.`,
    });
  }

  /** Keeps what is known. */
  saveMembership(membership: Membership): void {
    writePrivateFile(this.membershipPath, `${JSON.stringify(membership, undefined, 2)}\n`);
  }

  /** Where a server answered last, as it was kept; undefined when nothing (of use) is. */
  lastServer(): LastServer | undefined {
    try {
      const bytes = readStateFileIfPresent(this.lastServerPath);
      return bytes === undefined ? undefined : v.parse(lastServerSchema, JSON.parse(bytes.toString('utf8')));
    } catch {
      // It saves a second; it is not worth an error.
      return undefined;
    }
  }

  /** Keeps where a server has answered. */
  saveLastServer(last: LastServer): void {
    writePrivateFile(this.lastServerPath, `${JSON.stringify(last)}\n`);
  }

  private get lastServerPath(): string {
    return join(this.path, 'last-server.json');
  }

  /** The grants kept here, as texts. */
  grants(): string[] {
    const folder = join(this.path, 'grants');
    const names = listed(folder).filter(name => name.endsWith('.jwt'));
    return names.flatMap(name => readStateFileIfPresent(join(folder, name))?.toString('utf8').trim() ?? []);
  }

  /** Keeps a grant under its id. */
  saveGrant(id: string, text: string): void {
    writePrivateFile(join(this.path, 'grants', `${id}.jwt`), `${text}\n`);
  }
}

function listed(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    return [];
  }
}
