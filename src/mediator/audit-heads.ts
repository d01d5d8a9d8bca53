import { asEntremiseError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Audithead } from '../wire/messages/link.ts';
import type { AuditFile } from './audit.ts';

/**
 * Heads of the server's audit (P6.10): in the mediator's log and in its audit file, so that the server's own lines can be
 * held against them (`entremise audit verify --head`). The same head is kept once: it comes with every link.
 */
export class AuditHeads {
  private readonly audit: Pick<AuditFile, 'keepHead'>;
  private readonly log: Log;
  private last = '';

  constructor(audit: Pick<AuditFile, 'keepHead'>, log: Log) {
    this.audit = audit;
    this.log = log;
  }

  /** The server has told one. */
  onHead({ seq, hash: bytes, timeMs }: Audithead): void {
    const hash = Buffer.from(bytes).toString('base64url');
    if (hash === this.last) return;
    this.last = hash;
    this.log.info({ auditHead: hash, auditSeq: seq, serverTimeMs: timeMs }, "head of the server's audit");
    try {
      this.audit.keepHead({ seq, hash, timeMs });
    } catch (thrown) {
      this.log.error({ err: asEntremiseError(thrown) }, "the head of the server's audit could not be kept");
    }
  }
}
