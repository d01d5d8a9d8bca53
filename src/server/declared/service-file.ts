import * as v from 'valibot';
import { EntremiseError } from '../../base/errors.ts';
import { readStateFile } from '../../base/state-file.ts';
import { parseToml } from '../../base/toml.ts';
import { closedObject, firstIssue, listOf } from '../../policy/schema.ts';
import type { Declared } from './declarations.ts';
import {
  type StandingService,
  type StandingServiceText,
  standingServiceSchema,
  standingServiceText,
} from './standing-service.ts';

/** A file of standing services, for `entremise service apply` and `diff`: `[[service]]` as in server.toml. */

const fileSchema = closedObject({ service: v.optional(listOf(standingServiceSchema, 0, 1024), []) });

/**
 * Reads the text of such a file; `where` names it in errors.
 * @throws EntremiseError `bad-config`, naming file, key and what is allowed there
 */
export function parseServiceFile(text: string, where: string): readonly StandingService[] {
  const parsed = v.safeParse(fileSchema, parseToml(text, where), { abortEarly: true });
  if (!parsed.success)
    throw new EntremiseError('bad-config', { message: `${where}: ${firstIssue(parsed.issues)}.` });
  const { service } = parsed.output;
  const names = service.map(({ name }) => name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice === undefined) return service;
  throw new EntremiseError('bad-config', { message: `${where}: there are two services ${twice}.` });
}

/** Reads such a file. @throws EntremiseError `bad-config`, `state-unreadable` */
export function readServiceFile(path: string): readonly StandingService[] {
  return parseServiceFile(readStateFile(path).toString('utf8'), path);
}

/** What a file would make otherwise. */
export interface ServiceChange {
  readonly name: string;
  readonly change: 'added' | 'changed' | 'removed';
  readonly before?: StandingServiceText;
  readonly after?: StandingServiceText;
}

/**
 * What there is to do until what is declared while the server runs is as in a file. `prune`: what the file has not is to go;
 * of server.toml's nothing is.
 */
export function serviceChanges(
  file: readonly StandingService[],
  now: readonly Declared<StandingService>[],
  prune: boolean,
): ServiceChange[] {
  const before = new Map(now.map(({ value }) => [value.name, standingServiceText(value)]));
  const changes = file.flatMap((service): ServiceChange[] => {
    const [name, after] = [service.name, standingServiceText(service)];
    const known = before.get(name);
    if (known === undefined) return [{ name, change: 'added', after }];
    const same = JSON.stringify(known) === JSON.stringify(after);
    return same ? [] : [{ name, change: 'changed', before: known, after }];
  });
  if (!prune) return changes;
  const kept = new Set(file.map(({ name }) => name));
  const gone = [...before].filter(([name]) => !kept.has(name));
  return [
    ...changes,
    ...gone.map(([name, known]): ServiceChange => ({ name, change: 'removed', before: known })),
  ];
}
