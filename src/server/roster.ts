import { EntremiseError } from '../base/errors.ts';
import { keyFromText, keyThumbprint } from '../base/keys.ts';
import { decideMember, type MemberStatement } from '../policy/documents.ts';

/** A member statement that counts, and whom it puts out because it takes over its name. */
export interface Arrival {
  readonly displaced: MemberStatement | undefined;
}

/** The members by the operator's word (P6.2): one statement a key, one key a name. */
export class Roster {
  private readonly byKey = new Map<string, MemberStatement>();
  private readonly keyByThumbprint = new Map<string, string>();

  /** The member with that key. */
  get(key: string): MemberStatement | undefined {
    return this.byKey.get(key);
  }

  /** All members. */
  all(): readonly MemberStatement[] {
    return [...this.byKey.values()];
  }

  /** The key of the member with that thumbprint, which is how grants name it. */
  keyOf(thumbprint: string): string | undefined {
    return this.keyByThumbprint.get(thumbprint);
  }

  /**
   * What taking this statement would mean; undefined when the one that is there stands.
   * @throws EntremiseError `name-taken`
   */
  decide(candidate: MemberStatement): Arrival | undefined {
    const rival = this.all().find(({ name, key }) => name === candidate.name && key !== candidate.key);
    switch (decideMember(this.get(candidate.key), rival, candidate)) {
      case 'accept':
        return { displaced: rival };
      case 'keep':
        return undefined;
      case 'name-taken':
        throw new EntremiseError('name-taken', { message: `Another member is called ${candidate.name}.` });
    }
  }

  /** Takes the statement in, and out what it puts out. */
  put(statement: MemberStatement, displaced?: MemberStatement): void {
    if (displaced !== undefined) this.remove(displaced.key);
    this.byKey.set(statement.key, statement);
    this.keyByThumbprint.set(keyThumbprint(keyFromText(statement.key)), statement.key);
  }

  /** Takes a member out. */
  remove(key: string): void {
    this.byKey.delete(key);
    this.keyByThumbprint.delete(keyThumbprint(keyFromText(key)));
  }
}
