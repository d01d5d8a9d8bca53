import { mkdtempSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Capture } from './capture.ts';
import type { ImpairedLink } from './impaired-link.ts';
import type { Lab } from './lab.ts';
import type { Namespace } from './namespace.ts';
import type { Program } from './process.ts';

/** What there is to be seen of a lab. */
export interface Scene {
  readonly labId: string;
  readonly drawing: string;
  readonly namespaces: readonly Namespace[];
  readonly programs: readonly Program[];
  readonly impairedLinks: readonly ImpairedLink[];
  readonly captures: readonly Capture[];
}

/** Asked in every namespace; the file gets what they print, or why they could not. */
const questions = [
  ['conntrack.txt', ['conntrack', '-L']],
  ['rules.txt', ['nft', 'list', 'ruleset']],
  ['sockets.txt', ['ss', '--all', '--tcp', '--udp', '--numeric', '--processes', '--info', '--options']],
  ['interfaces.txt', ['ip', '-statistics', 'address']],
] as const;

/**
 * Writes all that shows what a lab was doing into a new folder below `parent`, and gives its path. What cannot be had is
 * left out, and its file says why: evidence must not hide the failure that it is about.
 */
export async function writeEvidence(scene: Scene, parent: string = tmpdir()): Promise<string> {
  const folder = mkdtempSync(join(parent, `${scene.labId}-`));
  const keep = async (name: string, text: () => string | Promise<string>) =>
    writeFile(join(folder, name), await Promise.resolve().then(text).catch(String));
  await keep('drawing.txt', () => `${scene.drawing}\n`);
  await keep('programs.txt', () => scene.programs.map(describeProgram).join('\n'));
  await keep('impaired-links.txt', async () =>
    (await Promise.all(scene.impairedLinks.map(describeLink))).join(''),
  );
  for (const capture of scene.captures) await writeCapture(capture, folder);
  for (const namespace of scene.namespaces)
    for (const [name, argv] of questions)
      await keep(`${namespace}.${name}`, async () => {
        const { stdout, stderr, code } = await namespace.exec(argv);
        return code === 0 ? stdout : `${stdout}${stderr}`;
      });
  return folder;
}

async function writeCapture(capture: Capture, folder: string): Promise<void> {
  const { namespace, name } = capture.interface;
  const path = join(folder, `${namespace}.${name}.pcap`);
  await capture.write(path).catch(error => writeFile(`${path}.txt`, String(error)));
}

/**
 * Runs `body`. If it fails, the lab's evidence is kept and the error's message says where; if not, nothing is.
 *
 * @throws whatever `body` throws, its message one line longer.
 */
export async function withEvidence<T>(lab: Lab, body: () => Promise<T>, parent?: string): Promise<T> {
  try {
    return await body();
  } catch (error) {
    const where = await lab.keepEvidence(parent).catch(reason => `could not be kept: ${reason}`);
    if (error instanceof Error) error.message += `\nEvidence: ${where}`;
    throw error;
  }
}

function describeProgram(program: Program): string {
  const { exit } = program;
  const state = exit === undefined ? 'runs' : `ended: exit code ${exit.code}, signal ${exit.signal}`;
  return `${program} (pid ${program.pid}, ${state})\n--- stdout\n${program.stdout}--- stderr\n${program.stderr}`;
}

async function describeLink(link: ImpairedLink): Promise<string> {
  const counters = await link.counters();
  return `${link}\n${JSON.stringify({ impairment: link.impairment, counters }, null, 2)}\n`;
}
