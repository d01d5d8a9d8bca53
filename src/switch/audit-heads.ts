import { audithead } from '../wire/messages/link.ts';
import { auditHeads, frameType } from '../wire/spec.ts';
import type { ServerLink } from './server-link.ts';

/** The last line of the audit, as mediators keep it (P6.10). */
export interface AuditHead {
  readonly seq: number;
  /** 32 bytes. */
  readonly hash: Uint8Array;
  readonly timeMs: number;
}

/** Tells the mediators that keep them of heads of the audit: of each that is published, and on a new link of the last. */
export class AuditHeads {
  private readonly hearers = new Set<ServerLink>();
  private last: AuditHead | undefined;

  /** A member is there. */
  onLink(link: ServerLink, capabilities: readonly string[]): void {
    if (link.identity.role !== 'mediator' || !capabilities.includes(auditHeads)) return;
    this.hearers.add(link);
    if (this.last !== undefined) link.send(frameType.audithead, audithead.toBytes(this.last));
  }

  /** Its link is gone. */
  onLinkEnded(link: ServerLink): void {
    this.hearers.delete(link);
  }

  /** A head was published. */
  tell(head: AuditHead): void {
    if (this.last !== undefined && Buffer.compare(this.last.hash, head.hash) === 0) return;
    this.last = head;
    const body = audithead.toBytes(head);
    for (const link of this.hearers) link.send(frameType.audithead, body);
  }
}
