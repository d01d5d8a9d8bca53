import type { Command } from 'commander';
import { systemClock } from '../../base/clock.ts';
import { type ApiToken, isTokenScope, TokenStore, tokenScopes } from '../../server/api/token-store.ts';
import { type Context, collect, contextOf } from '../context.ts';
import { defaultServerState, requireServer } from '../delivery.ts';
import { parseDuration } from '../duration.ts';
import { examples } from '../examples.ts';
import { badUsage, table } from '../output.ts';

interface StateOption {
  readonly state: string;
}

interface CreateOptions extends StateOption {
  readonly grant?: string;
  readonly scope?: readonly string[];
  readonly for: string;
}

/** Adds `entremise server token create|list|grant|revoke`: bearer tokens of the HTTP API. */
export function addTokenVerbs(server: Command): void {
  const token = server.command('token').description('bearer tokens of the HTTP API');
  const verb = (name: string, description: string) =>
    token
      .command(name)
      .description(description)
      .option('--state <directory>', 'its state', defaultServerState);
  verb('create', 'make one and show it, this once')
    .argument('<name>', 'whose it is, for people')
    .option('--grant <id>', 'what it may do; without one it reads /metrics only')
    .option(
      '--scope <scope>',
      'beside its grant: audit (all of it), grants (sign some), declare (publish, services), enrol (make codes), labels (of who came by them); may be repeated',
      collect,
    )
    .option('--for <duration>', 'how long it is good', '90d')
    .addHelpText(
      'after',
      examples(
        'server token create monitoring',
        'server token create helpdesk --grant 51388b0916b87051 --for 12h',
        'server token create auditor --scope audit',
      ),
    )
    .action((name: string, options: CreateOptions, command) => create(contextOf(command), name, options));
  verb('list', 'those there are')
    .addHelpText('after', examples('server token list', 'server token list --json'))
    .action((options: StateOption, command) => list(contextOf(command), options));
  verb('grant', 'let one act under another grant, for one that was renewed')
    .argument('<id>')
    .argument('<grant>')
    .addHelpText('after', examples('server token grant 0123456789ab 51388b0916b87051'))
    .action((id: string, grant: string, options: StateOption, command) =>
      change(contextOf(command), options, id, store => store.setGrant(id, grant)),
    );
  verb('revoke', 'let nobody in by it from now on; its attachments end within seconds')
    .argument('<id>')
    .addHelpText('after', examples('server token revoke 0123456789ab'))
    .action((id: string, options: StateOption, command) =>
      change(contextOf(command), options, id, store => store.revoke(id, systemClock.wallTimeMs())),
    );
}

async function withTokens<T>({ state }: StateOption, use: (store: TokenStore) => T): Promise<T> {
  requireServer(state);
  const store = await TokenStore.open(state);
  try {
    return use(store);
  } finally {
    store.close();
  }
}

async function create(context: Context, name: string, options: CreateOptions): Promise<void> {
  const { scope = [] } = options;
  const scopes = scope.filter(isTokenScope);
  if (scopes.length < scope.length) throw badUsage(`--scope is one of ${tokenScopes.join(', ')}.`);
  const wish = { name, grantId: options.grant, scopes, lifeMs: parseDuration(options.for) };
  const { token, text } = await withTokens(options, store => store.create(wish, systemClock.wallTimeMs()));
  context.output.result({ ...shown(token), token: text }, [text]);
}

async function list(context: Context, options: StateOption): Promise<void> {
  const tokens = (await withTokens(options, store => store.list())).map(shown);
  const rows = tokens.map(({ id, name, grant, scopes, expires, state }) => [
    id,
    name,
    grant ?? '-',
    scopes.join(',') || '-',
    expires,
    state,
  ]);
  context.output.result(
    tokens,
    rows.length === 0
      ? ['there are no tokens']
      : table([['ID', 'NAME', 'GRANT', 'SCOPES', 'EXPIRES', 'STATE'], ...rows]),
  );
}

async function change(
  context: Context,
  options: StateOption,
  id: string,
  use: (store: TokenStore) => void,
): Promise<void> {
  await withTokens(options, use);
  context.output.result({ id }, [`token ${id} changed`]);
}

function shown({ id, name, grantId, scopes, createdAtMs, expiresAtMs, revokedAtMs }: ApiToken) {
  const iso = (ms: number) => new Date(ms).toISOString();
  const expired = systemClock.wallTimeMs() >= expiresAtMs;
  const state = revokedAtMs !== undefined ? 'revoked' : expired ? 'expired' : 'good';
  return { id, name, grant: grantId, scopes, created: iso(createdAtMs), expires: iso(expiresAtMs), state };
}
