import * as v from 'valibot';
import { isKeyText } from '../base/keys.ts';
import { type AddressEntry, parseAddressEntry } from './address-entry.ts';
import { type NumberRange, parseNumberRange } from './number-range.ts';
import { quoted } from './target.ts';

/** The valibot parts that signed documents and the owner's table have in common, with sentences that help. */

/** What the issues of a schema say, as one clause: `targets.networks[1] "x" names no address; ...`. */
export function firstIssue(issues: readonly [v.BaseIssue<unknown>, ...v.BaseIssue<unknown>[]]): string {
  const [issue] = issues;
  const path = (issue.path ?? [])
    .map(item => (typeof item.key === 'number' ? `[${item.key}]` : `.${String(item.key)}`))
    .join('')
    .replace(/^\./, '');
  return path === '' ? issue.message : `${path} ${issue.message}`;
}

function objectMessage(issue: { readonly expected: string | null }): string {
  if (issue.expected === 'never') return 'is not known here';
  return issue.expected === 'Object' ? 'must be a table' : 'is missing';
}

/** An object in which every member must be known: what is not understood may be a restriction. */
export function closedObject<T extends v.ObjectEntries>(
  entries: T,
): v.StrictObjectSchema<T, typeof objectMessage> {
  return v.strictObject(entries, objectMessage);
}

/** An object whose unknown members are ignored. */
export function openObject<T extends v.ObjectEntries>(entries: T): v.ObjectSchema<T, typeof objectMessage> {
  return v.object(entries, objectMessage);
}

/** Text that `parse` understands; its error sentence becomes the issue's. */
export function parsedText<T>(parse: (text: string) => T) {
  return v.pipe(
    v.string('must be text'),
    v.rawTransform(({ dataset, addIssue, NEVER }): T => {
      try {
        return parse(dataset.value);
      } catch (thrown) {
        addIssue({
          message: `is wrong: ${thrown instanceof Error ? thrown.message.replace(/\.$/, '') : 'unreadable'}`,
        });
        return NEVER;
      }
    }),
  );
}

/** Whole numbers from `min` to `max`. */
export function wholeNumber(min: number, max: number) {
  const message = `must be a whole number from ${min} to ${max}`;
  return v.pipe(
    v.number(message),
    v.safeInteger(message),
    v.minValue(min, message),
    v.maxValue(max, message),
  );
}

/** Seconds since 1970 (NumericDate of RFC 7519 §2, whole), as milliseconds. */
export const timeClaim = v.pipe(
  wholeNumber(0, 253_402_300_799),
  v.transform(seconds => seconds * 1000),
);

/** 32 bytes as base64url: a public key, a JWK thumbprint, a pin. */
export const key32 = v.pipe(
  v.string('must be text'),
  v.check(isKeyText, 'must be 32 bytes in base64url, 43 characters'),
);

/** Name of a member: what people type in commands, and safe in any log, shell and file name. */
export const memberName = v.pipe(
  v.string('must be text'),
  v.regex(
    /^(?!.*\.\.)[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?$/,
    'must be 1 to 63 lower-case letters, digits, ".", "_" or "-", beginning and ending with a letter or digit',
  ),
);

/** How names of members begin: whatever may stand before more of them, so it may end in a dash. */
export const memberNamePrefix = v.pipe(
  v.string('must be text'),
  v.regex(
    /^(?!.*\.\.)[a-z0-9][a-z0-9._-]{0,61}$/,
    'must be 1 to 62 lower-case letters, digits, ".", "_" or "-", beginning with a letter or digit',
  ),
);

/** Label of a member. */
export const memberLabel = v.pipe(
  v.string('must be text'),
  v.regex(
    /^[A-Za-z0-9][A-Za-z0-9._:=-]{0,62}$/,
    'must be 1 to 63 letters, digits, ".", "_", ":", "=" or "-", beginning with a letter or digit',
  ),
);

/** A list of `min` to `max` items. */
export function listOf<T extends v.GenericSchema>(item: T, min: number, max: number) {
  const message = `must be a list of ${min} to ${max}`;
  return v.pipe(v.array(item, message), v.minLength(min, message), v.maxLength(max, message));
}

/** One of these words. */
export function oneOf<const T extends readonly string[]>(words: T) {
  return v.picklist(words, `must be one of: ${words.join(', ')}`);
}

/** Why a terminal attaches: people who help, or a service that runs unattended (P6.3). */
export const purposes = ['assistance', 'service'] as const;

/** One of {@link purposes}. */
export type Purpose = (typeof purposes)[number];

/** The two kinds of member. */
export const roles = ['mediator', 'terminal'] as const;

/**
 * What a grant or a policy allows one by one: the commands of P5, `resolve` (QUERY resolve) and `datagram` (sending to
 * a new destination, P5.9).
 */
export const permissionVerbs = [
  'open',
  'redirect',
  'connect',
  'listen',
  'close',
  'query',
  'resolve',
  'datagram',
] as const;

/** One of {@link permissionVerbs}. */
export type PermissionVerb = (typeof permissionVerbs)[number];

/** A list of commands. */
export const verbList = listOf(oneOf(permissionVerbs), 0, permissionVerbs.length);

function parseTargetEntry(text: string): AddressEntry {
  if (text === 'wildcard') throw new Error('"wildcard" can be bound, but nothing can be sent to it');
  return parseAddressEntry(text);
}

/** Where may be connected and sent to. */
export const targetNetworks = listOf(parsedText(parseTargetEntry), 0, 256);

/** What ports may be bound to. */
export const portAddresses = listOf(parsedText(parseAddressEntry), 0, 256);

const numberRange = v.union(
  [
    parsedText(parseNumberRange),
    v.pipe(
      wholeNumber(1, 65_535),
      v.transform((number): NumberRange => ({ first: number, last: number })),
    ),
  ],
  issue => `${quoted(String(issue.input))} is not a range of port numbers; write it like 80 or "8000-8999"`,
);

/** Ranges of port numbers. */
export const numberRanges = listOf(numberRange, 0, 256);
