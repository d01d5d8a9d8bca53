import type { Command } from 'commander';
import * as v from 'valibot';
import {
  authorityFiles,
  type KeyChange,
  type KnownMember,
  openAuthority,
  replaceStolenKey,
  retireKeys,
  rotateKey,
} from '../../authority/index.ts';
import { systemClock } from '../../base/clock.ts';
import { readStateFile } from '../../base/state-file.ts';
import { firstIssue, roles } from '../../policy/schema.ts';
import { signed } from '../as-usage.ts';
import { type Context, contextOf } from '../context.ts';
import { type Delivery, deliver } from '../delivery.ts';
import { examples } from '../examples.ts';
import { knownMembers } from '../member-lookup.ts';
import { badUsage } from '../output.ts';

interface MembersOption {
  readonly members?: string;
}

const membersHelp = 'what "entremise server members --json" printed, where --server-state cannot be had';

/** Adds `entremise authority rotate-key|retire-key`. */
export function addAuthorityKeyVerbs(authority: Command): void {
  authority
    .command('rotate-key')
    .description('let the successor sign from now on; the key before is believed until it is retired')
    .option('--members <file>', membersHelp)
    .option('--stolen', 'retire the key before at once, and sign the grants in force anew')
    .addHelpText('after', examples('authority rotate-key --server-state /var/lib/entremise'))
    .action((options: MembersOption & { stolen?: boolean }, command) => rotate(contextOf(command), options));
  authority
    .command('retire-key')
    .description('let the key before be believed no more, once nothing that counts hangs on it')
    .option('--members <file>', membersHelp)
    .option('--reissue-grants', 'sign grants of it anew; what runs under them ends')
    .addHelpText('after', examples('authority retire-key --server-state /var/lib/entremise'))
    .action((options: MembersOption & { reissueGrants?: boolean }, command) =>
      retire(contextOf(command), options),
    );
}

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

/** Without the members nothing is begun: those that are not signed anew would be shut out in the end. */
function membersOf(context: Context, { members }: MembersOption): KnownMember[] | Promise<KnownMember[]> {
  if (members !== undefined) return membersIn(members);
  if (context.serverState !== undefined) return knownMembers(context);
  throw badUsage(
    'Say who the members are, to be signed anew: --server-state, or --members FILE with what "entremise server members --json" printed on the server.',
  );
}

function bring(context: Context, { authority, documents }: KeyChange): Promise<Delivery> {
  return deliver(context, documents, authorityFiles.rotation(authority.directory));
}

async function rotate(context: Context, options: MembersOption & { stolen?: boolean }): Promise<void> {
  const members = await membersOf(context, options);
  const nowMs = systemClock.wallTimeMs();
  if (options.stolen === true)
    return tellRetired(context, await signed(replaceStolenKey(context.authorityPath, members, nowMs)));
  const change = await signed(rotateKey(context.authorityPath, members, nowMs));
  const delivered = await bring(context, change);
  const { authority, formerKeys } = change;
  const [key, successor] = authority.publicKeys;
  const signedAnew = { key, successor, retiring: formerKeys, members: change.members };
  context.output.result({ ...signedAnew, delivered: delivered.how }, [
    `the successor signs from now on; ${change.members} members are signed anew`,
    `  key        ${key}`,
    `  successor  ${successor}   (new: keep a copy of this directory elsewhere)`,
    `  retiring   ${formerKeys.join(', ')}`,
    delivered.sentence,
    'Codes that are not used yet are void. When the grants of before have expired: entremise authority retire-key',
  ]);
}

async function retire(context: Context, options: MembersOption & { reissueGrants?: boolean }): Promise<void> {
  const members = await membersOf(context, options);
  const authority = openAuthority(context.authorityPath);
  const anew = options.reissueGrants === true;
  await tellRetired(context, await signed(retireKeys(authority, members, systemClock.wallTimeMs(), anew)));
}

async function tellRetired(context: Context, change: KeyChange): Promise<void> {
  const delivered = await bring(context, change);
  const { authority, formerKeys, grants } = change;
  const [key] = authority.publicKeys;
  context.output.result({ key, retired: formerKeys, grants, delivered: delivered.how }, [
    `believed no more: ${formerKeys.join(', ')}; ${grants} grants are signed anew`,
    delivered.sentence,
  ]);
}
