import { rm } from 'node:fs/promises';
import process from 'node:process';
import { labSupport } from 'netns-test-helpers';
import { EntremiseError } from '../../src/base/errors.ts';
import { type Site, type SiteOptions, setUpSite } from '../site.ts';
import { buildHome, type Home, type HomeOptions } from '../topologies/home.ts';

/**
 * Runs `measure` in a home of its own with a whole Entremise in it, and takes everything down after it.
 * @throws EntremiseError `environment-unfit` where network namespaces cannot be made, and whatever `measure` throws
 */
export async function withSite<T>(
  name: string,
  options: SiteOptions,
  measure: (site: Site) => Promise<T>,
  network: Omit<HomeOptions, 'name'> = {},
): Promise<T> {
  requireRoot();
  const home = await buildHome({ name, ...network });
  let directory: string | undefined;
  try {
    const site = await setUpSite(home, options);
    directory = site.directory;
    return await measure(site);
  } finally {
    await home.lab.destroy();
    if (directory !== undefined) await rm(directory, { recursive: true, force: true });
  }
}

/**
 * Runs `measure` in a home of its own without an Entremise in it, and takes it down after it.
 * @throws as {@link withSite}
 */
export async function withHome<T>(name: string, measure: (home: Home) => Promise<T>): Promise<T> {
  requireRoot();
  const home = await buildHome({ name });
  try {
    return await measure(home);
  } finally {
    await home.lab.destroy();
  }
}

/**
 * Root, not a user namespace: sshd changes users, and figures of a nested namespace would be figures of that.
 * @throws EntremiseError `environment-unfit`
 */
export function requireRoot(): void {
  const support = labSupport();
  const reason = support.ok ? 'it needs root' : support.reason;
  if (!support.ok || process.getuid?.() !== 0)
    throw new EntremiseError('environment-unfit', { message: `This bench cannot run here: ${reason}.` });
}
