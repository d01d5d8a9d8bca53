import { join } from 'node:path';
import * as v from 'valibot';
import { EntremiseError } from '../base/errors.ts';
import { readStateFileIfPresent, writePrivateFile } from '../base/state-file.ts';
import { boundEntries } from '../policy/bounds.ts';
import { maxGrantLifeMs } from '../policy/grant.ts';
import type { GrantTerms } from '../policy/grant-wish.ts';
import { closedObject, firstIssue, memberName, oneOf, purposes, wholeNumber } from '../policy/schema.ts';
import type { Authority } from './state.ts';

/**
 * Roles: what grants of a kind say, under a name, so that a technician's grants are all alike. They are the authority's
 * own notes, in roles.json of its directory; what counts for members is what each grant says when it is signed.
 */

const roleSchema = closedObject({
  purpose: v.optional(oneOf(purposes)),
  lifeMs: v.optional(wholeNumber(60_000, maxGrantLifeMs.service)),
  ...boundEntries,
});

const fileSchema = v.object({ version: v.literal(1), roles: v.record(v.string(), v.unknown()) });

/** A role and what its grants say. */
export interface Role {
  readonly name: string;
  readonly terms: GrantTerms;
}

const pathOf = ({ directory }: Authority) => join(directory, 'roles.json');

/** The input of the schema is what is kept and signed; its output would be parsed addresses. */
function isTerms(value: unknown): value is GrantTerms {
  return v.is(roleSchema, value);
}

/** What is wrong with the terms, as a sentence. @throws EntremiseError `bad-usage` */
function refuseMalformed(name: string, terms: unknown): asserts terms is GrantTerms {
  const named = v.safeParse(memberName, name);
  if (!named.success)
    throw new EntremiseError('bad-usage', { message: `The name of a role ${firstIssue(named.issues)}.` });
  const parsed = v.safeParse(roleSchema, terms, { abortEarly: true });
  if (!parsed.success)
    throw new EntremiseError('bad-usage', { message: `The role ${name}: ${firstIssue(parsed.issues)}.` });
}

/**
 * All roles, by name.
 * @throws EntremiseError `state-unreadable`
 */
export function listRoles(authority: Authority): Role[] {
  const path = pathOf(authority);
  const text = readStateFileIfPresent(path)?.toString();
  if (text === undefined) return [];
  try {
    const { roles } = v.parse(fileSchema, JSON.parse(text));
    const found = Object.entries(roles).flatMap(([name, terms]) => (isTerms(terms) ? [{ name, terms }] : []));
    if (found.length === Object.keys(roles).length) return found.sort((a, b) => a.name.localeCompare(b.name));
    throw new Error('a role is malformed');
  } catch (cause) {
    const message = `${path} has no roles that can be read; put a backup in its place, or remove it.`;
    throw new EntremiseError('state-unreadable', { message, cause });
  }
}

/**
 * The role of that name.
 * @throws EntremiseError `bad-usage` when there is none, `state-unreadable`
 */
export function readRole(authority: Authority, name: string): Role {
  const found = listRoles(authority).find(role => role.name === name);
  if (found !== undefined) return found;
  throw new EntremiseError('bad-usage', {
    message: `There is no role ${JSON.stringify(name)}; "entremise grant role list" shows those there are.`,
  });
}

function write(authority: Authority, roles: readonly Role[]): void {
  const file = { version: 1, roles: Object.fromEntries(roles.map(({ name, terms }) => [name, terms])) };
  writePrivateFile(pathOf(authority), `${JSON.stringify(file, undefined, 2)}\n`);
}

/**
 * Makes a role, or another of it.
 * @throws EntremiseError `bad-usage` when it says what no grant may, `state-unreadable`
 */
export function setRole(authority: Authority, name: string, terms: GrantTerms): Role {
  // As it will be read again: without what is undefined.
  const plain: unknown = JSON.parse(JSON.stringify(terms));
  refuseMalformed(name, plain);
  const role = { name, terms: plain };
  write(authority, [...listRoles(authority).filter(each => each.name !== name), role]);
  return role;
}

/**
 * Forgets a role; grants that were made by it stay as they are.
 * @throws EntremiseError `bad-usage` when there is none, `state-unreadable`
 */
export function removeRole(authority: Authority, name: string): void {
  readRole(authority, name);
  write(
    authority,
    listRoles(authority).filter(each => each.name !== name),
  );
}
