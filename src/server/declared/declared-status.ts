import { statSync } from 'node:fs';
import { join } from 'node:path';
import { readStateFileIfPresent } from '../../base/state-file.ts';
import { statusIsOldAfterMs } from '../../base/status-file.ts';
import type { PublicationStatus } from '../features/publish-feature.ts';
import type { ServiceStatus } from '../features/service-feature.ts';

/** How everything that is declared stands, as a running server tells who may read its state directory. */
export interface DeclaredStatus {
  readonly publications: readonly PublicationStatus[];
  readonly services: readonly ServiceStatus[];
}

/** Where a server tells it. */
export function declaredStatusPath(stateDir: string): string {
  return join(stateDir, 'declared-status.json');
}

/**
 * What the server that runs on this state has told last, two seconds old at most; undefined when none runs.
 * @throws EntremiseError `state-unreadable`
 */
export function readDeclaredStatus(stateDir: string, nowMs: number): DeclaredStatus | undefined {
  const path = declaredStatusPath(stateDir);
  const text = readStateFileIfPresent(path)?.toString('utf8');
  if (text === undefined) return undefined;
  const isOld = nowMs - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0) > statusIsOldAfterMs;
  return isOld ? undefined : (JSON.parse(text) as DeclaredStatus);
}
