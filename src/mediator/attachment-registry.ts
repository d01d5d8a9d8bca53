import { EntremiseError, type ErrorCode } from '../base/errors.ts';
import type { AttachInner } from '../wire/messages/attach.ts';

/**
 * The attachments of a mediator, by terminal key and attachment id (P4.2). They outlive labels and links; how many may do
 * that, and who gives way, is decided here (P4.6).
 */

/** Attachments of a mediator, the suspended ones included. */
export const maxAttachments = 16;

/** Suspended attachments of one terminal key. */
export const maxHeldOfKey = 4;

/** What says which attachment, and which attempt of it. */
export type AttachmentName = Pick<AttachInner, 'terminalKey' | 'attachmentId' | 'instance' | 'attempt'>;

/** An attachment, as far as the registry cares. */
export interface Registered {
  /** Of the newest attempt that counts. */
  readonly name: AttachmentName;
  /** Those of the processes that it was adopted from (P4.6). */
  readonly adoptedFrom: readonly AttachmentName[];
  /** True while it waits for its terminal. */
  readonly suspended: boolean;
  end(code: ErrorCode): void;
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

/** See the head of this file. */
export class AttachmentRegistry<A extends Registered> {
  private readonly members = new Set<A>();
  /** In the order in which they lost their labels. */
  private readonly held = new Set<A>();

  /** All of them. */
  get all(): readonly A[] {
    return [...this.members];
  }

  /** Those that wait for their terminal, the one that waits longest first. */
  get suspended(): readonly A[] {
    return [...this.held];
  }

  /** The attachment of that key and id. */
  find({ terminalKey, attachmentId }: AttachmentName): A | undefined {
    return this.all.find(
      ({ name }) => same(name.terminalKey, terminalKey) && same(name.attachmentId, attachmentId),
    );
  }

  /** The attachments of a terminal key. */
  ofKey(terminalKey: Uint8Array): A[] {
    return this.all.filter(({ name }) => same(name.terminalKey, terminalKey));
  }

  /**
   * The attachment that an attempt is for, if there is one already.
   * @throws EntremiseError `in-use` when it is an older attempt, or of another process while one has the attachment;
   * `terminal-restarted` when it goes on from what another process has adopted; `limit` when there is no room for one more
   */
  admit(name: AttachmentName): A | undefined {
    const before = this.find(name);
    if (before !== undefined) checkAttempt(before, name);
    else if (this.members.size >= maxAttachments && this.held.size === 0) {
      throw new EntremiseError('limit', {
        message: `${maxAttachments} terminals are attached already; one has to detach first.`,
      });
    }
    return before;
  }

  /** Takes one more, which {@link admit} let in. The one that is suspended longest gives way. */
  add(attachment: A): void {
    if (this.members.size >= maxAttachments) this.suspended[0]?.end('terminal-gone');
    this.members.add(attachment);
  }

  /** It is over. */
  delete(attachment: A): void {
    this.members.delete(attachment);
    this.held.delete(attachment);
  }

  /** It waits for its terminal from now on. Of its key's that do, the first gives way to a fifth. */
  onSuspended(attachment: A): void {
    this.held.add(attachment);
    const { terminalKey } = attachment.name;
    const ofKey = this.suspended.filter(({ name }) => same(name.terminalKey, terminalKey));
    if (ofKey.length > maxHeldOfKey) ofKey[0]?.end('terminal-gone');
  }

  /** It has a label again. */
  onResumed(attachment: A): void {
    this.held.delete(attachment);
  }
}

/**
 * A process that did not die, but was stopped or cut off, while the next one adopted what it had: it must not adopt back what
 * it takes for its own, and learns why its streams are gone.
 */
function checkLeft({ adoptedFrom }: Registered, { instance, attempt }: AttachmentName): void {
  if (!adoptedFrom.some(left => same(left.instance, instance) && attempt > left.attempt)) return;
  throw new EntremiseError('terminal-restarted', {
    message: 'Another process of this terminal has adopted the attachment.',
  });
}

/** Another process of that terminal has it, or this is an attempt from before: the one that is there stays (P4.2, P4.6). */
function checkAttempt(before: Registered, name: AttachmentName): void {
  checkLeft(before, name);
  const sameProcess = same(before.name.instance, name.instance);
  if (sameProcess ? name.attempt > before.name.attempt : before.suspended) return;
  throw new EntremiseError('in-use', {
    message: sameProcess
      ? 'This attempt is older than one that the attachment has seen.'
      : 'The attachment is in use by a live process of this terminal.',
  });
}
