import type { Command } from 'commander';
import {
  authorityFiles,
  type KeyChange,
  openAuthority,
  replaceStolenKey,
  retireKeys,
  rotateKey,
} from '../../authority/index.ts';
import { systemClock } from '../../base/clock.ts';
import { signed } from '../as-usage.ts';
import { type Context, contextOf } from '../context.ts';
import { type Delivery, deliver } from '../delivery.ts';
import { examples } from '../examples.ts';
import { type MembersOption, membersHelp, membersOf } from '../members-option.ts';

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
