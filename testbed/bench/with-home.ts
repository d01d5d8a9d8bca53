import { rm } from 'node:fs/promises';
import process from 'node:process';
import { labSupport } from 'netns-test-helpers';
import { EntremiseError } from '../../src/base/errors.ts';
import { type Site, type SiteOptions, setUpSite } from '../site.ts';
import { buildHome, type HomeOptions } from '../topologies/home.ts';

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
 * Root, not a user namespace: sshd changes users, and figures of a nested namespace would be figures of that.
 * @throws EntremiseError `environment-unfit`
 */
export function requireRoot(): void {
  const support = labSupport();
  const reason = support.ok ? 'it needs root' : support.reason;
  if (!support.ok || process.getuid?.() !== 0)
    throw new EntremiseError('environment-unfit', { message: `This bench cannot run here: ${reason}.` });
}
