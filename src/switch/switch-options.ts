import type { Clock } from '../base/clock.ts';
import type { ErrorCode } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { ProvenMember } from '../session/handshake.ts';
import type { Role } from '../wire/messages/link.ts';
import type { Report } from '../wire/messages/report.ts';
import type { LinkIdentity } from './members.ts';
import type { AttachDecision, AttachQuestion, Audit } from './permit.ts';
import type { Directory } from './presence.ts';
import type { RouteLimits } from './route-table.ts';

/** Whether a member that has proved its key may stay. */
export type Admission =
  | {
      readonly admitted: true;
      /** The name of its member statement. */
      readonly name: string;
      /** seq of the newest trust statement. */
      readonly statementSeq: number;
      /** What it is sent after WELCOME: the trust statement, its own statement, a terminal its grants (P6.2). */
      readonly documents: readonly string[];
    }
  | { readonly admitted: false; readonly code: ErrorCode; readonly message?: string };

/** What bounds a switch. */
export interface SwitchLimits extends RouteLimits {
  readonly attachmentsPerLink: number;
}

/** The limits when nothing is said. */
export const defaultSwitchLimits: SwitchLimits = {
  creditBytes: 256 * 1024 * 1024,
  queuedBytes: 256 * 1024 * 1024,
  attachmentsPerLink: 1024,
};

/** What a switch is made with. It asks these functions what it does not know itself. Keys are text. */
export interface SwitchOptions {
  readonly clock: Clock;
  readonly log: Log;
  /** 16 random bytes, one life of the server process. */
  readonly bootId: Buffer;
  readonly capabilities: readonly string[];
  readonly directory: Directory;
  readonly audit: Audit;
  readonly limits?: Partial<SwitchLimits>;
  /** The authority's key, told to members that enrol. */
  authorityKey(): Buffer | undefined;
  /** Member statement, enrolment and revocation of a member that has proved its key (P6.1, P6.5). */
  admit(member: ProvenMember, remote: string): Promise<Admission>;
  authoriseAttach(question: AttachQuestion): Promise<AttachDecision>;
  /** Why a member with that key may have no link in that role any more, or undefined. */
  recheckMember(key: string, role: Role): ErrorCode | undefined;
  /** Takes documents that a member pushed; one entry each, undefined when accepted (P6.2). */
  acceptDocuments(
    documents: readonly string[],
    from: LinkIdentity,
  ): Promise<readonly (ErrorCode | undefined)[]>;
  /** Keeps a mediator's REPORT. */
  onReport(mediator: string, report: Report): void;
  /** A member's first link has come, or its last one has gone. */
  onMember?(identity: LinkIdentity, online: boolean): void;
}
