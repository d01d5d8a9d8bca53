import type { ExecutionContext } from 'ava';
import { AttachmentKeeper, type KeeperStatus } from '../attachment-keeper.ts';
import { type Lab, type LabOptions, lab } from './lab.ts';

/** A lab with a keeper for gw-1, and what it has told. */
export interface KeptLab extends Lab {
  readonly keeper: AttachmentKeeper;
  readonly statuses: KeeperStatus[];
}

/** A lab whose terminal keeps an attachment to gw-1. */
export async function keptLab(t: ExecutionContext, options: LabOptions = {}): Promise<KeptLab> {
  const made = await lab(t, options);
  const keeper = new AttachmentKeeper(made.terminal, 'gw-1');
  const statuses: KeeperStatus[] = [];
  keeper.on('status', status => statuses.push(status));
  t.teardown(() => keeper.close());
  return { ...made, keeper, statuses };
}
