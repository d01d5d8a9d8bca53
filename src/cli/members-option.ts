import * as v from 'valibot';
import type { KnownMember } from '../authority/index.ts';
import { readStateFile } from '../base/state-file.ts';
import { firstIssue, roles } from '../policy/schema.ts';
import type { Context } from './context.ts';
import { knownMembers } from './member-lookup.ts';
import { badUsage } from './output.ts';

/** Who the members are, for verbs that sign them anew. */
export interface MembersOption {
  readonly members?: string;
}

/** What --members is. */
export const membersHelp =
  'what "entremise server members --json" printed, where --server-state cannot be had';

const membersSchema = v.array(
  v.object({
    key: v.string(),
    name: v.string(),
    role: v.picklist(roles),
    labels: v.array(v.string()),
    signer: v.string(),
  }),
);

function membersIn(file: string): KnownMember[] {
  const text = readStateFile(file).toString('utf8');
  try {
    const parsed = v.safeParse(membersSchema, JSON.parse(text));
    if (parsed.success) return parsed.output;
    throw badUsage(`${file} is no list of members: ${firstIssue(parsed.issues)}.`);
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause;
    throw badUsage(`${file} is not JSON; "entremise server members --json" prints what belongs there.`);
  }
}

/**
 * Without the members nothing is begun: those that are not signed anew would be shut out in the end.
 * @throws EntremiseError `bad-usage` when nothing says who they are; `state-unreadable`
 */
export function membersOf(
  context: Context,
  { members }: MembersOption,
): KnownMember[] | Promise<KnownMember[]> {
  if (members !== undefined) return membersIn(members);
  if (context.serverState !== undefined) return knownMembers(context);
  throw badUsage(
    'Say who the members are, to be signed anew: --server-state, or --members FILE with what "entremise server members --json" printed on the server.',
  );
}
