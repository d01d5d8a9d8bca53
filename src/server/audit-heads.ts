import type { ChainedFile } from '../base/chained-file.ts';
import type { Clock } from '../base/clock.ts';
import { asEntremiseError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';

/** How often the head of the audit is published. */
const headEveryMs = 3_600_000;

/**
 * Publishes the head of the audit: in a file beside it and in the log, which go elsewhere. Returns how to end it,
 * with the last one.
 */
export function publishHeads(
  file: ChainedFile,
  { clock, log }: { readonly clock: Clock; readonly log: Log },
): () => void {
  let cancel = () => {};
  const publish = () => {
    cancel = clock.after(headEveryMs, publish);
    try {
      const head = file.publish(new Date(clock.wallTimeMs()).toISOString());
      if (head !== undefined) log.info({ auditHead: head.hash, auditSeq: head.seq }, 'audit head');
    } catch (thrown) {
      log.error({ err: asEntremiseError(thrown) }, 'the head of the audit cannot be published');
    }
  };
  cancel = clock.after(headEveryMs, publish);
  return () => {
    publish();
    cancel();
  };
}
