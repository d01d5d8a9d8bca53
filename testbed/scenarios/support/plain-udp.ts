import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { type Namespace, type Program, until } from 'netns-test-helpers';
import { cliCommand, mediatorName, type Site, serverAddress } from '../../site.ts';
import { programPath } from './peers.ts';
import { type Json, jsonLines, type Teardown, untilJson } from './verbs.ts';

/** Plain UDP through the server (P7.6): what declares it, and both kinds of plain ends. */

/** UDP clients in a namespace, a round of questions at a time. */
export class Clients {
  private round = 0;
  private readonly program: Program;
  private readonly count: number;

  /** `first`: the first one's own number, the others follow; 0: any. */
  constructor(t: Teardown, where: Namespace, address: string, number: number, count: number, first = 0) {
    const words = [programPath('udp-clients.mjs'), address, String(number), String(count), String(first)];
    this.program = where.spawn([process.execPath, ...words], { stdin: 'pipe' });
    this.count = count;
    t.teardown(() => this.program.stop('SIGKILL'));
  }

  /** Asks from each until all are answered; what the service saw of each, `address number`. */
  async ask(deadlineMs = 30_000): Promise<string[]> {
    await untilJson(this.program, 'that it is ready', ({ ready }) => ready === true);
    const answers = () => jsonLines(this.program.stdout).filter(({ round }) => round === this.round);
    this.round++;
    this.program.write('ask\n');
    const seen = await until(() => (answers().length === this.count ? answers() : undefined), {
      what: `${this.program} to be answered`,
      deadlineMs,
      explain: () => this.program.stdout.slice(-2000),
    });
    const inOrder = [...seen].sort((one: Json, other: Json) => Number(one.client) - Number(other.client));
    return inOrder.map(({ reply }) => String(reply).replace(/^.* from /, ''));
  }
}

/** A service that answers with where it sees each datagram come from. */
export async function startMirror(where: Namespace, address: string, number: number): Promise<void> {
  where.spawn([process.execPath, programPath('udp-mirror.mjs'), address, String(number)]);
  await where.untilListening('udp', number);
}

const stateOf = (site: Site) => join(site.directory, 'server');

/** Enrols a feature of the server, with a grant for all of the LAN. */
export async function enrolFeature(site: Site, feature: 'publish' | 'service'): Promise<void> {
  const { code } = await site.authority('invite', 'terminal', `isp-${feature}`);
  const words = ['server', 'enroll-feature', feature, '--server', serverAddress, '--state', stateOf(site)];
  const env = { ENTREMISE_CODE: String(code) };
  const enrolled = await site.home.server.run(cliCommand(...words, '--json'), { env });
  const { key } = JSON.parse(enrolled) as { key: string };
  const grant = ['--terminal', key, '--mediator', mediatorName, '--purpose', 'service'];
  await site.operator('grant', 'create', ...grant, '--target', 'lan');
}

/**
 * Enrols the server's features of plain UDP and TCP, adds these rules to server.toml and lets the server read them; resolves
 * with it, once its standing service is applied.
 */
export async function startFeatures(site: Site, rules: string): Promise<Program> {
  for (const feature of ['publish', 'service'] as const) await enrolFeature(site, feature);
  appendFileSync(join(stateOf(site), 'server.toml'), rules);
  const { server, mediator } = site;
  server.kill('SIGHUP');
  const isApplied = () => jsonLines(server.stderr).some(line => line.state === 'applied');
  await until(isApplied, {
    what: 'the service to be applied',
    deadlineMs: 60_000,
    explain: () => `server: ${server.stderr.slice(-3000)}\nmediator: ${mediator.stderr.slice(-3000)}`,
  });
  return server;
}
