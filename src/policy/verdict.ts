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

/** One of those who must all allow: a grant, the delegate who signed it, an owner; each with fields of the same names. */
export type Side = 'grant' | 'delegate' | 'owner';

const sides: Readonly<Record<Side, { readonly prefix: string; readonly who: string }>> = {
  grant: { prefix: '', who: 'The grant does not allow this; its field' },
  delegate: {
    prefix: 'delegates.',
    who: 'The delegate who signed the grant may not allow this; the field of the trust statement',
  },
  owner: { prefix: 'owner.', who: "The gateway's owner does not allow this; the option" },
};

/** Denied since `field` does not say what it would have to; `need` continues "would have to". */
export function denied(by: Side, field: string, need: string): Denial {
  const { prefix, who } = sides[by];
  const path = `${prefix}${field}`;
  const message = `${who} ${path} would have to ${need}.`;
  return {
    allowed: false,
    code: 'not-permitted',
    by: by === 'owner' ? 'owner' : 'grant',
    field: path,
    message,
  };
}
