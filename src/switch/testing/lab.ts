import { randomBytes } from 'node:crypto';
import { type FakeClock, fakeClock } from '../../base/clock.ts';
import type { ErrorCode } from '../../base/errors.ts';
import { keyToText } from '../../base/keys.ts';
import { silentLog } from '../../base/log.ts';
import { allowed } from '../../policy/verdict.ts';
import type { ProvenMember } from '../../session/handshake.ts';
import type { Stream } from '../../session/stream.ts';
import { FlakyTransport } from '../../transport/flaky.ts';
import { memoryPair } from '../../transport/memory.ts';
import type { Report } from '../../wire/messages/report.ts';
import type { LinkIdentity } from '../members.ts';
import type { AttachDecision, AttachQuestion, Permit } from '../permit.ts';
import type { MediatorRecord } from '../presence.ts';
import { Switch } from '../switch.ts';
import type { Admission, SwitchLimits } from '../switch-options.ts';
import { LabMember, type LabMemberOptions } from './lab-member.ts';

/**
 * A switch in a laboratory: a clock that is moved by hand, members with the session code of real ones over memory
 * transports, and every question that the switch asks answered by a field that a test may change.
 */
export class Lab {
  readonly clock: FakeClock = fakeClock();
  readonly switch: Switch;
  /** Audit lines, oldest first. */
  readonly audit: { action: string; fields: Readonly<Record<string, unknown>> }[] = [];
  readonly reports = new Map<string, Report>();
  /** Documents that were pushed, with who pushed them. */
  readonly pushed: { documents: readonly string[]; from: LinkIdentity }[] = [];
  /** Text of keys whose links must end, and why. */
  readonly revoked = new Map<string, ErrorCode>();
  /** What {@link permit} answers to a recheck. */
  attachmentsEnd: ErrorCode | undefined;
  permit: Permit = {
    grantId: 'grant-0001',
    deadlineMs: Number.POSITIVE_INFINITY,
    authorise: () => allowed,
    recheck: () => this.attachmentsEnd,
  };
  auditFails = false;
  onAudit: () => void = () => {};
  admit: (member: ProvenMember) => Promise<Admission> = async member => ({
    admitted: true,
    name: `${member.role}-${keyToText(member.key).slice(0, 4)}`,
    statementSeq: 7,
    documents: [],
  });
  authoriseAttach: (question: AttachQuestion) => Promise<AttachDecision> = async () => ({
    allowed: true,
    permit: this.permit,
  });
  acceptDocuments: (documents: readonly string[]) => Promise<(ErrorCode | undefined)[]> = async documents =>
    documents.map(() => undefined);
  /** Every member that was connected. */
  readonly members: LabMember[] = [];
  /** Mediators that every terminal may see. */
  readonly records = new Map<string, MediatorRecord>();

  constructor(limits: Partial<SwitchLimits> = {}) {
    this.switch = new Switch({
      clock: this.clock,
      log: silentLog(),
      bootId: randomBytes(16),
      capabilities: [],
      limits,
      directory: {
        visibleTo: () => this.records.keys(),
        isVisible: (_terminal, mediator) => this.records.has(mediator),
        record: mediator => this.records.get(mediator),
      },
      authorityKey: () => undefined,
      admit: member => this.admit(member),
      authoriseAttach: question => this.authoriseAttach(question),
      recheckMember: key => this.revoked.get(key),
      acceptDocuments: (documents, from) => {
        this.pushed.push({ documents, from });
        return this.acceptDocuments(documents);
      },
      onReport: (mediator, report) => this.reports.set(mediator, report),
      audit: (action, fields) => {
        if (this.auditFails) throw new Error('no space left on device');
        this.audit.push({ action, fields });
        this.onAudit();
      },
    });
  }

  /** Connects a member and waits until it is welcome. */
  async member(options: LabMemberOptions): Promise<LabMember> {
    const member = this.connect(options);
    await until(() => member.welcomed, 'the member is welcome');
    return member;
  }

  /** Connects a member without waiting for anything. */
  connect(options: LabMemberOptions): LabMember {
    const { client, server } = memoryPair();
    const member = new LabMember(client, this.clock, options);
    this.members.push(member);
    this.switch.accept(server);
    member.link.start();
    return member;
  }

  /** As {@link connect}, over a link that takes `oneWayMs` in each direction. */
  connectFar(options: LabMemberOptions, oneWayMs: number): LabMember<FlakyTransport> {
    const { client, server } = memoryPair();
    const delay = { clock: this.clock, delayMs: oneWayMs };
    this.switch.accept(new FlakyTransport(server, { delay }));
    const member = new LabMember(new FlakyTransport(client, { delay }), this.clock, options);
    member.link.start();
    return member;
  }

  /** Cuts every link, so that nothing that waits for a stopped member waits for ever. */
  end(): void {
    for (const { transport } of this.members) transport.destroy();
  }

  /** Lets time pass in small steps, so that members keep their links alive meanwhile. */
  async pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 500) {
      this.clock.advance(Math.min(left, 500));
      for (let turns = 0; turns < 3; turns++) await turn();
    }
  }

  /** A terminal and a mediator, attached. */
  async attached() {
    const mediator = await this.member({ role: 'mediator' });
    const terminal = await this.member({ role: 'terminal' });
    return { mediator, terminal, ...(await this.attach(terminal, mediator)) };
  }

  /** Attaches a terminal to a mediator and waits until both ends are open. */
  async attach(terminal: LabMember, mediator: LabMember) {
    const atTerminal = terminal.attachTo(mediator.key.publicKey);
    await until(() => atTerminal.attachment?.open, 'the attachment is open at the terminal');
    const atMediator = mediator.ends.at(-1);
    if (atMediator === undefined) throw new Error('the mediator has no attachment');
    await until(() => atMediator.attachment?.open, 'the attachment is open at the mediator');
    return { atTerminal, atMediator };
  }
}

/** One turn of the event loop; everything that waits on promises has run by then. */
export function turn(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve));
}

/** Waits until `predicate` gives a true value; fails after many turns of the event loop, saying what did not come. */
export async function until(predicate: () => unknown, what: string): Promise<void> {
  for (let turns = 0; turns < 10_000; turns++) {
    if (predicate()) return;
    await turn();
  }
  throw new Error(`It never came about that ${what}.`);
}

/** Lets everything that is under way come to rest. */
export async function settle(): Promise<void> {
  for (let turns = 0; turns < 20; turns++) await turn();
}

/** Sends everything as fast as the stream takes it, then FIN. */
export async function pump(stream: Stream, bytes: Buffer): Promise<void> {
  let at = 0;
  while (at < bytes.length && !stream.ended) {
    const count = Math.min(stream.roomBytes, 16_000, bytes.length - at);
    if (count > 0) stream.send(bytes.subarray(at, at + count));
    else await turn();
    at += count;
  }
  stream.finish();
}
