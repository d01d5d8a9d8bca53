import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { type Interface, type LabSupport, labSupport } from 'netns-test-helpers';
import { type Site, type SiteOptions, setUpSite } from '../../site.ts';
import { buildHome, type Home, type HomeOptions } from '../../topologies/home.ts';

/**
 * Scenarios: whole-system tests with real peers. A file of them shares one home with a whole Entremise in it, since that
 * takes seconds to set up; its tests run one after the other. Where there can be no namespaces they are skipped, and
 * their titles say why.
 */

/** What a scenario file plays on. */
export interface Stage {
  readonly site: Site;
  readonly home: Home;
  /** For whatever the tests write; removed in the end. */
  readonly folder: string;
}

/** How the stage of a file is set. */
export interface StageOptions<T> {
  /** Begins the names of the namespaces; 1 to 16 of a-z 0-9. */
  readonly name: string;
  readonly home?: Omit<HomeOptions, 'name' | 'log'>;
  /** Options of the site; told where the stage's folder is. */
  readonly site?: (folder: string) => Omit<SiteOptions, 'directory' | 'detachable'>;
  /** Starts the peers, before the site is there. */
  readonly peers?: (home: Home, folder: string) => Promise<unknown>;
  /** Interfaces whose last packets are kept when a test fails. */
  readonly capture?: (home: Home) => readonly Interface[];
  /** Why the stage cannot be set here, where it needs more than namespaces; undefined when it can. */
  readonly cannot?: () => string | undefined;
  /** Takes down what the stage alone does not know of, once nothing runs any more. */
  readonly after?: () => unknown;
  /** What the tests share beyond the site. */
  readonly share?: (stage: Stage) => Promise<T>;
}

/**
 * Declares a test of the file: its title is a claim. `root`: its peers change users, which a user namespace does not
 * allow.
 */
export type Claim<T> = (
  title: string,
  body: (t: ExecutionContext, stage: Stage & T) => Promise<void>,
  needs?: 'root',
) => void;

/** Why a test cannot run here, or undefined when it can. */
function reasonToSkip(support: LabSupport, needs: 'root' | undefined): string | undefined {
  if (!support.ok) return support.reason;
  if (!support.ready) return 'an ordinary user has to start them by npm test';
  return needs === 'root' && support.how !== 'root' ? 'its peers need root' : undefined;
}

async function shownOnFailure(t: ExecutionContext, { site, home }: Stage): Promise<void> {
  t.log(`evidence: ${await home.lab.keepEvidence().catch(String)}`);
  for (const [name, program] of [
    ['server', site.server],
    ['mediator', site.mediator],
  ] as const)
    t.log(`${name}:\n${program.stderr.slice(-3000)}`);
}

async function raise<T>(options: StageOptions<T>, folder: string, made: (home: Home) => void) {
  const { name, home: homeOptions, site: siteOptions, peers, share } = options;
  const home = await buildHome({ name, ...homeOptions });
  made(home);
  for (const wanted of options.capture?.(home) ?? []) await home.lab.capture(wanted);
  await peers?.(home, folder);
  const site = await setUpSite(home, { ...siteOptions?.(folder), directory: join(folder, 'site') });
  const stage = { site, home, folder };
  return { ...stage, ...((await share?.(stage)) as T) };
}

/** Sets the stage of a file before its first test, and gives what declares the tests. */
export function setStage<T = unknown>(options: StageOptions<T>): Claim<T> {
  const support = labSupport();
  const lacking = options.cannot?.();
  let home: Home | undefined;
  let stage: (Stage & T) | undefined;
  if (lacking === undefined && reasonToSkip(support, undefined) === undefined) {
    const folder = mkdtempSync(join(tmpdir(), 'entremise-scenario-'));
    test.serial.before(async () => {
      stage = await raise(options, folder, built => {
        home = built;
      });
    });
    test.after.always(async () => {
      await home?.lab.destroy();
      await options.after?.();
      rmSync(folder, { recursive: true, force: true });
    });
  }
  return (title, body, needs) => {
    const reason = lacking ?? reasonToSkip(support, needs);
    if (reason !== undefined) return test.skip(`${title} [skipped: ${reason}]`, () => {});
    test.serial(title, async t => {
      if (stage === undefined) throw new Error('the stage was not set');
      try {
        await body(t, stage);
      } catch (thrown) {
        await shownOnFailure(t, stage);
        throw thrown;
      }
    });
  };
}
