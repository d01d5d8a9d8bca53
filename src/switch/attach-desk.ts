import type { Clock } from '../base/clock.ts';
import { asEntremiseError, EntremiseError, errorNumber } from '../base/errors.ts';
import { keyToText } from '../base/keys.ts';
import {
  type Attach,
  type Attached,
  type AttachInner,
  attach,
  attached,
  attachInner,
} from '../wire/messages/attach.ts';
import { frameType } from '../wire/spec.ts';
import type { LabelEnd } from './label-table.ts';
import type { AttachDecision, AttachQuestion, Audit, Permit } from './permit.ts';
import { Route, RouteEnd, type RouteHost, type RouteParties } from './route.ts';
import type { ServerLink } from './server-link.ts';

/**
 * From ATTACH to ATTACHED (P1.2, P6.4): the terminal's label is noted, whoever knows the documents is asked, the audit
 * line is written, the mediator gets a label of its own and `inner` byte for byte. Until the mediator has agreed the
 * terminal's label carries nothing.
 */

/** ATTACHes of one link that may be under way (P1.6). */
const maxPending = 16;

/** A mediator that has not answered by then will not. */
const answerWithinMs = 15_000;

/** What the desk needs of the switch. */
export interface AttachDeskOptions {
  readonly clock: Clock;
  readonly routeHost: RouteHost;
  readonly audit: Audit;
  /** Attachments that one link may have. */
  readonly maxLabelsPerLink: number;
  authoriseAttach(question: AttachQuestion): Promise<AttachDecision>;
  /** The link of a mediator by the text of its key, or undefined when it is offline. */
  mediatorLink(key: string): ServerLink | undefined;
  /** A route carries frames from now on. */
  onLive(route: Route): void;
}

/** A label of a terminal while its ATTACH is thought about. */
class PendingLabel implements LabelEnd {
  private readonly link: ServerLink;
  private readonly label: number;
  /** The terminal thought better of it, or is gone. */
  cancelled = false;

  constructor(link: ServerLink, label: number) {
    this.link = link;
    this.label = label;
  }

  receive(): void {
    this.link.dropFrame();
  }

  onDetach(): void {
    this.cancelled = true;
    this.link.labels.free(this.label);
  }

  onLinkLost(): void {
    this.cancelled = true;
  }
}

function refusal(code: 'bad-request' | 'limit' | 'mediator-offline', message: string): EntremiseError {
  return new EntremiseError(code, { message, by: 'server' });
}

function refuseAttach(link: ServerLink, label: number, error: EntremiseError): void {
  const { code, message, by = 'server' } = error;
  link.send(frameType.attached, attached.toBytes({ label, error: errorNumber(code), by, message }));
}

/** `inner`, which must speak of the very key that the link has proved. */
function readInner(bytes: Uint8Array, link: ServerLink): AttachInner {
  const inner = attachInner.fromBytes(bytes);
  if (keyToText(inner.terminalKey) === link.identity.key) return inner;
  throw refusal('bad-request', 'ATTACH speaks of another key than the one this link has proved.');
}

/** See the head of this file. */
export class AttachDesk {
  private readonly options: AttachDeskOptions;
  private readonly underWay = new WeakMap<ServerLink, number>();

  constructor(options: AttachDeskOptions) {
    this.options = options;
  }

  /**
   * A terminal's ATTACH.
   * @throws EntremiseError `protocol-error` for a label that is not a new one, `limit` past the last: the link must close
   */
  onAttach(link: ServerLink, message: Attach): void {
    const { label } = message;
    link.labels.takeFromMember(label);
    const count = this.underWay.get(link) ?? 0;
    if (count >= maxPending)
      return refuseAttach(link, label, refusal('limit', `More than ${maxPending} ATTACHes are under way.`));
    this.underWay.set(link, count + 1);
    const pending = new PendingLabel(link, label);
    link.labels.bind(label, pending);
    this.attach(link, message, pending).catch(thrown => {
      this.settled(link);
      if (pending.cancelled) return;
      link.labels.free(label);
      refuseAttach(link, label, asEntremiseError(thrown));
    });
  }

  private settled(link: ServerLink): void {
    this.underWay.set(link, (this.underWay.get(link) ?? 1) - 1);
  }

  private async attach(link: ServerLink, message: Attach, pending: PendingLabel): Promise<void> {
    const inner = readInner(message.inner, link);
    const question = { terminal: link.identity.key, mediator: keyToText(message.mediator), inner };
    const decision = await this.options.authoriseAttach(question);
    if (pending.cancelled) throw new EntremiseError('detached');
    const mediator = this.options.mediatorLink(question.mediator);
    const parties = partiesOf(link, mediator, question);
    const refused = decision.allowed ? this.refusalHere(link, mediator) : decision;
    this.writeAudit(link, parties, decision, refused);
    const { figures } = this.options.routeHost;
    if (refused !== undefined) figures.onRefused('refusedAttaches', refused.code);
    else if (inner.attempt > 1) figures.resumes++;
    if (refused !== undefined)
      throw new EntremiseError(refused.code, { by: refused.by ?? 'server', message: refused.message });
    if (decision.allowed && mediator !== undefined)
      this.ask(link, message, mediator, decision.permit, parties);
  }

  /** Why an ATTACH that is allowed cannot go on. */
  private refusalHere(link: ServerLink, mediator: ServerLink | undefined): EntremiseError | undefined {
    if (mediator === undefined)
      return refusal('mediator-offline', 'The mediator is not connected to the server.');
    const { maxLabelsPerLink } = this.options;
    if (link.labels.size <= maxLabelsPerLink && mediator.labels.size < maxLabelsPerLink) return undefined;
    return refusal('limit', `The server allows ${maxLabelsPerLink} attachments on one link.`);
  }

  private writeAudit(
    link: ServerLink,
    parties: RouteParties,
    decision: AttachDecision,
    refused:
      | { readonly code: string; readonly by?: string | undefined; readonly message: string }
      | undefined,
  ): void {
    const outcome =
      refused === undefined
        ? { allowed: true }
        : { allowed: false, code: refused.code, by: refused.by, reason: refused.message };
    const grant = decision.allowed ? { grant: decision.permit.grantId } : {};
    try {
      this.options.audit('attach', { ...parties, remote: link.remote, ...grant, ...outcome });
    } catch (cause) {
      throw new EntremiseError('audit-unavailable', { by: 'server', cause });
    }
  }

  private ask(
    link: ServerLink,
    { label, mediator: mediatorKey, inner }: Attach,
    mediator: ServerLink,
    permit: Permit,
    parties: RouteParties,
  ): void {
    const mediatorLabel = mediator.labels.make();
    const route = new Route(this.options.routeHost, permit, parties, {
      terminal: { link, label },
      mediator: { link: mediator, label: mediatorLabel },
    });
    link.labels.bind(label, route.terminalEnd);
    mediator.labels.bind(mediatorLabel, route.mediatorEnd);
    const cancelTimer = this.options.clock.after(answerWithinMs, () => route.end('timed-out'));
    route.onAnswered(() => {
      cancelTimer();
      this.settled(link);
    });
    const credit = route.mediatorEnd.creditBytes;
    const body = { label: mediatorLabel, mediator: mediatorKey, credit, inner };
    mediator.send(frameType.attach, attach.toBytes(body));
  }

  /**
   * A mediator's answer. One for a label that is no more has crossed its end, and means nothing.
   * @throws EntremiseError `protocol-error` for a second answer: the link must close
   */
  onAttached(mediator: ServerLink, message: Attached): void {
    const end = mediator.labels.get(message.label);
    if (end === undefined) return;
    if (!(end instanceof RouteEnd) || end.route.live)
      throw new EntremiseError('protocol-error', { message: 'ATTACHED answers no ATTACH.' });
    const { route } = end;
    const { link, label, creditBytes } = route.terminalEnd;
    const { inner, signature, error } = message;
    if (error === undefined && inner !== undefined && signature !== undefined) {
      route.goLive();
      link.send(frameType.attached, attached.toBytes({ label, credit: creditBytes, inner, signature }));
      this.options.onLive(route);
    } else {
      const answer = { ...message, label, error: error ?? errorNumber('protocol-error') };
      route.forget();
      link.send(frameType.attached, attached.toBytes(answer));
    }
  }
}

function partiesOf(
  link: ServerLink,
  mediator: ServerLink | undefined,
  question: AttachQuestion,
): RouteParties {
  const { key, name } = link.identity;
  return {
    terminal: key,
    terminalName: name,
    mediator: question.mediator,
    mediatorName: mediator?.identity.name ?? '',
    attachment: Buffer.from(question.inner.attachmentId).toString('hex'),
  };
}
