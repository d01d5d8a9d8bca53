/** What authorise() answers. */
export type Verdict = { readonly allowed: true } | Denial;

/** Why not, and what would have to be said where for it to be allowed. */
export interface Denial {
  readonly allowed: false;
  readonly code: 'not-permitted' | 'consent-required' | 'outside-hours' | 'grant-expired' | 'grant-revoked';
  readonly by: 'grant' | 'owner';
  /** The field of the grant, or the option of the owner's table, that decides. */
  readonly field: string;
  /** One sentence that names the field and the value it would need. */
  readonly message: string;
}

/** The verdict that allows. */
export const allowed: Verdict = { allowed: true };

/** One of the two who must both allow: a grant or an owner, each with fields of the same names. */
export type Side = 'grant' | 'owner';

/** Denied since `field` does not say what it would have to; `need` continues "would have to". */
export function denied(by: Side, field: string, need: string): Denial {
  const path = by === 'grant' ? field : `owner.${field}`;
  const message =
    by === 'grant'
      ? `The grant does not allow this; its field ${path} would have to ${need}.`
      : `The gateway's owner does not allow this; the option ${path} would have to ${need}.`;
  return { allowed: false, code: 'not-permitted', by, field: path, message };
}
