import type { ChainedFile } from '../base/chained-file.ts';
import type { Clock } from '../base/clock.ts';
import { asEntremiseError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { AuditHead } from '../switch/audit-heads.ts';
import { type SyslogTarget, sendToSyslog } from './syslog.ts';

/** How often the head of the audit is published. */
const headEveryMs = 3_600_000;

/** What publishing needs. */
export interface PublishHeadsOptions {
  readonly file: ChainedFile;
  readonly clock: Clock;
  readonly log: Log;
  readonly syslog: SyslogTarget | undefined;
  /** Tells the mediators. */
  tell(head: AuditHead): void;
}

/**
 * Publishes the head of the audit in places that go elsewhere: a file beside it, the log, syslog, the log of every mediator
 * (P6.10). At once, every hour, whenever it is asked for, and in the end.
 */
export class HeadPublisher {
  private readonly options: PublishHeadsOptions;
  private cancel = () => {};

  constructor(options: PublishHeadsOptions) {
    this.options = options;
  }

  /** Begins. */
  start(): void {
    this.cancel = this.options.clock.after(headEveryMs, () => this.start());
    this.publish();
  }

  /** Publishes the head if there are lines behind the last one. */
  publish(): void {
    const { file, clock, log, tell } = this.options;
    const timeMs = clock.wallTimeMs();
    try {
      const isNew = file.publish(new Date(timeMs).toISOString()) !== undefined;
      const { seq, hash } = file.head;
      // Of a server that begins anew mediators are told, though nothing is new.
      if (seq > 0) tell({ seq, hash: Buffer.from(hash, 'base64url'), timeMs });
      if (!isNew) return;
      log.info({ auditHead: hash, auditSeq: seq }, 'audit head');
      this.toSyslog(`audit head ${seq} ${hash}`, timeMs);
    } catch (thrown) {
      log.error({ err: asEntremiseError(thrown) }, 'the head of the audit cannot be published');
    }
  }

  private toSyslog(text: string, timeMs: number): void {
    const { syslog, log } = this.options;
    if (syslog === undefined) return;
    sendToSyslog(syslog, text, new Date(timeMs)).catch(thrown =>
      log.error({ err: thrown }, 'the head of the audit did not go to syslog'),
    );
  }

  /** Publishes the last one, and no more. */
  stop(): void {
    this.cancel();
    this.publish();
  }
}
