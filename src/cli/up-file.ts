import * as v from 'valibot';
import { EntremiseError } from '../base/errors.ts';
import { readStateFile } from '../base/state-file.ts';
import { parseToml } from '../base/toml.ts';
import { closedObject, firstIssue, listOf, memberName, parsedText } from '../policy/schema.ts';
import { type ForwardSpec, parseEndpoint, parseForward, parseLanPort } from './forward-spec.ts';

/**
 * A file of forwards and exposes, which `entremise up` keeps. Written with the words of the command line:
 *
 *   [[mediator]]
 *   name = "home-4711"
 *   forward = ["8080:192.168.1.10:80", "5353:192.168.1.1:53/udp"]
 *   expose = [{ port = "8000", target = "127.0.0.1:8000" }]
 */

/** One line of the file. */
export interface UpEntry {
  readonly kind: 'forward' | 'expose';
  readonly mediator: string;
  readonly spec: ForwardSpec;
  /** As it was written. */
  readonly text: string;
}

/** An entry before its mediator is known. */
type Part = Omit<UpEntry, 'mediator'>;

const forwardEntry = parsedText((text): Part => ({ kind: 'forward', spec: parseForward(text), text }));

const exposeEntry = v.pipe(
  closedObject({
    port: parsedText(text => ({ text, read: parseLanPort(text) })),
    target: parsedText(text => ({ text, read: parseEndpoint(text) })),
  }),
  v.transform(({ port, target }): Part => {
    const spec = { ...port.read, target: target.read };
    return { kind: 'expose', spec, text: `${port.text} ${target.text}` };
  }),
);

const fileSchema = closedObject({
  mediator: listOf(
    closedObject({
      name: memberName,
      forward: v.optional(listOf(forwardEntry, 0, 1000), []),
      expose: v.optional(listOf(exposeEntry, 0, 1000), []),
    }),
    1,
    1000,
  ),
});

function localPlace({ spec: { protocol, listen } }: UpEntry): string | undefined {
  return listen.port === 0 ? undefined : `${protocol} ${listen.host ?? '127.0.0.1'} ${listen.port}`;
}

/** Two forwards cannot have one local port: better said now than as a failure of the second for ever. */
function checkDistinct(entries: readonly UpEntry[], where: string): void {
  const seen = new Set<string>();
  for (const entry of entries) {
    const place = entry.kind === 'forward' ? localPlace(entry) : `${entry.mediator} ${entry.text}`;
    if (place !== undefined && seen.has(place))
      throw new EntremiseError('bad-config', {
        message: `${where}: ${JSON.stringify(entry.text)} stands where another has its port already; give it a port of its own.`,
      });
    if (place !== undefined) seen.add(place);
  }
}

/**
 * Reads the text of such a file; `where` names it in errors. There is at least one entry.
 * @throws EntremiseError `bad-config`, naming file, key and what is allowed there
 */
export function parseUpFile(text: string, where: string): readonly UpEntry[] {
  const parsed = v.safeParse(fileSchema, parseToml(text, where), { abortEarly: true });
  if (!parsed.success)
    throw new EntremiseError('bad-config', { message: `${where}: ${firstIssue(parsed.issues)}.` });
  const entries = parsed.output.mediator.flatMap(({ name, forward, expose }) =>
    [...forward, ...expose].map(part => ({ ...part, mediator: name })),
  );
  if (entries.length === 0)
    throw new EntremiseError('bad-config', { message: `${where}: there is no forward and no expose in it.` });
  checkDistinct(entries, where);
  return entries;
}

/**
 * Reads such a file.
 * @throws EntremiseError `bad-config`, or `state-unreadable` when the file cannot be read
 */
export function readUpFile(path: string): readonly UpEntry[] {
  return parseUpFile(readStateFile(path).toString('utf8'), path);
}
