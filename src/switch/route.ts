import { asEntremiseError, EntremiseError, type ErrorCode, errorNumber } from '../base/errors.ts';
import type { LabelSource } from '../session/scheduler.ts';
import { encodeFrame, type Frame } from '../wire/frame.ts';
import { attached, detach, unrouted } from '../wire/messages/attach.ts';
import { type Datagram, encodeCredit } from '../wire/messages/binary.ts';
import { frameNameOf, frameType } from '../wire/spec.ts';
import { type CreditBudget, CreditLedger } from './credit-ledger.ts';
import { ForwardQueue } from './forward-queue.ts';
import { classify, isCounted, isMemberLabelType, type RouteSide } from './frame-class.ts';
import type { LabelEnd } from './label-table.ts';
import type { Permit } from './permit.ts';
import type { HighestStreams, SwitchFigures } from './switch-figures.ts';

/**
 * An attachment as the server knows it (P1.2): one label of a terminal's link and one of a mediator's, joined.
 *
 *     terminal's link ──receive──> [ledger: credit] ... [far end's queue: order] ──> mediator's link
 *
 * and the same the other way round. A route is made when the ATTACH goes to the mediator, is live from its ATTACHED on,
 * and ends once: by either member, by the loss of either link, by a broken rule, or by the server.
 */

/** What a route needs of a member's link. */
export interface RouteLink {
  /** All bytes that have come on the link. */
  readonly receivedBytes: number;
  /** Smoothed round trip in milliseconds, or undefined before it is known. */
  readonly roundTripMs: number | undefined;
  /** A queue may have something to give. */
  wake(queue: LabelSource): void;
  /** Sends a message of label 0. */
  send(type: number, body: Uint8Array): void;
  /** The label is no more, and nothing is taken from its queue again. */
  freeLabel(label: number, queue: LabelSource): void;
  /** Counts a frame that was dropped. */
  dropFrame(): void;
}

/** What a route needs of the switch. */
export interface RouteHost {
  readonly creditBudget: CreditBudget;
  readonly figures: SwitchFigures;
  /** Monotonic milliseconds. */
  now(): number;
  /** The bytes that wait in queues have changed by this much. */
  onHeld(deltaBytes: number): void;
  /** A queue has dropped datagrams. */
  onDatagramsDropped(count: number): void;
  /**
   * The COMMAND as it is to be passed on: as it came, or marked as refused (P5.8).
   * @throws EntremiseError `bad-request` when it cannot be read
   */
  passCommand(frame: Frame, route: Route): Frame;
  /** The route has ended, once. `brokenBy`: whose frame broke a rule, if one did. */
  onEnded(route: Route, code: ErrorCode, brokenBy: RouteSide | undefined): void;
}

/** What the two members of a route are, for the audit and for the log. */
export interface RouteParties {
  /** Text of the terminal's key. */
  readonly terminal: string;
  readonly terminalName: string;
  /** Text of the mediator's key. */
  readonly mediator: string;
  readonly mediatorName: string;
  /** Hex of the attachment's id. */
  readonly attachment: string;
}

/** How an end is told that the route is over: the far end left (DETACH), or cannot be reached any more (UNROUTED). */
type Farewell = 'detach' | 'unrouted';

/** One end of a {@link Route}: a label on a member's link. `route` and the far end are the business of this file. */
export class RouteEnd implements LabelEnd {
  readonly side: RouteSide;
  readonly link: RouteLink;
  readonly label: number;
  /** What waits for this end's member. */
  readonly queue: ForwardQueue;
  readonly route: Route;
  private readonly ledger: CreditLedger;

  constructor(side: RouteSide, link: RouteLink, label: number, route: Route) {
    this.side = side;
    this.link = link;
    this.label = label;
    this.route = route;
    this.ledger = new CreditLedger(route.host.creditBudget, route.host.now());
    this.queue = new ForwardQueue(label, {
      onLeft: frameBytes => this.far.onLeft(frameBytes),
      takeCredit: () => this.takeCredit(),
      onHeld: deltaBytes => route.host.onHeld(deltaBytes),
      onDatagramsDropped: count => route.host.onDatagramsDropped(count),
    });
  }

  /** The credit that the member has on this label when it begins (P2.3). */
  get creditBytes(): number {
    return this.ledger.windowBytes;
  }

  private get far(): RouteEnd {
    return this.side === 'terminal' ? this.route.mediatorEnd : this.route.terminalEnd;
  }

  receive(frame: Frame): void {
    if (!isMemberLabelType(frame.type)) throw unknownType(frame.type);
    if (!this.route.live) return this.link.dropFrame();
    if (isCounted(frame.type) && this.ledger.onReceived(frame.bytes.length))
      this.route.host.figures.creditWaits++;
    try {
      this.pass(frame);
    } catch (thrown) {
      this.route.break(this.side, asEntremiseError(thrown).code);
    }
  }

  private pass(frame: Frame): void {
    const frameClass = classify(frame, this.side);
    const isCommand = frame.type === frameType.command;
    const { queue, link } = this.far;
    this.route.host.figures.onFrame(this.side, frame, this.route.highestStreams);
    queue.add(isCommand ? this.route.host.passCommand(frame, this.route) : frame, frameClass);
    if (queue.resetsOverflow) throw new EntremiseError('protocol-error');
    // Room may have been made by ending this very route.
    if (this.route.live) link.wake(queue);
  }

  /** Sends this end's member a datagram that its UDP channel has no room for (P7.5). */
  sendLong(datagram: Datagram): void {
    this.queue.addLong(datagram);
    this.link.wake(this.queue);
  }

  /** A frame of this end's member has been written to the far link. */
  private onLeft(frameBytes: number): void {
    const { host } = this.route;
    this.ledger.onLeft(frameBytes, this.far.queue, host.now(), this.link.roundTripMs);
    if (this.ledger.due) this.link.wake(this.queue);
  }

  private takeCredit(): Buffer | undefined {
    if (!this.ledger.due) return undefined;
    const body = encodeCredit({ allowed: this.ledger.tell(), linkReceived: this.link.receivedBytes });
    return encodeFrame({ type: frameType.credit, flags: 0, label: this.label, stream: 0 }, body);
  }

  onDetach(code: ErrorCode): void {
    this.route.endFrom(this.side, 'detach', code);
  }

  onLinkLost(code: ErrorCode): void {
    this.route.endFrom(this.side, 'unrouted', code);
  }

  /** Frees the label and, when there is something to say, says it. `wasLive`: the terminal has had its ATTACHED. */
  close(farewell: Farewell | undefined, code: ErrorCode, wasLive: boolean): void {
    const { label, link, queue } = this;
    link.freeLabel(label, queue);
    this.ledger.release();
    this.route.host.onHeld(-queue.heldBytes);
    if (farewell === undefined) return;
    const reason = errorNumber(code);
    if (this.side === 'terminal' && !wasLive) this.refuseAttach(code);
    else if (farewell === 'detach') link.send(frameType.detach, detach.toBytes({ label, reason }));
    else link.send(frameType.unrouted, unrouted.toBytes({ label, reason }));
  }

  private refuseAttach(code: ErrorCode): void {
    const error = errorNumber(code === 'link-lost' ? 'mediator-offline' : code);
    this.link.send(frameType.attached, attached.toBytes({ label: this.label, error, by: 'server' }));
  }
}

/** See the head of this file. */
export class Route {
  readonly host: RouteHost;
  readonly permit: Permit;
  readonly parties: RouteParties;
  /** Of this file and its owner: the end at the terminal's link. */
  readonly terminalEnd: RouteEnd;
  /** Of this file and its owner: the end at the mediator's link. */
  readonly mediatorEnd: RouteEnd;
  /** Of this file: for the figures. */
  readonly highestStreams: HighestStreams = [0, 0];
  private phase: 'asked' | 'live' | 'ended' = 'asked';
  private answered = () => {};
  private cancelDeadline = () => {};

  constructor(
    host: RouteHost,
    permit: Permit,
    parties: RouteParties,
    ends: Readonly<Record<RouteSide, { readonly link: RouteLink; readonly label: number }>>,
  ) {
    this.host = host;
    this.permit = permit;
    this.parties = parties;
    this.terminalEnd = new RouteEnd('terminal', ends.terminal.link, ends.terminal.label, this);
    this.mediatorEnd = new RouteEnd('mediator', ends.mediator.link, ends.mediator.label, this);
  }

  /** Calls `run` once when the mediator has answered or there will be no answer. */
  onAnswered(run: () => void): void {
    this.answered = run;
  }

  /** The mediator has agreed: frames flow. */
  goLive(): void {
    if (this.phase === 'asked') this.leaveAsked('live');
  }

  private leaveAsked(next: 'live' | 'ended'): void {
    const wasAsked = this.phase === 'asked';
    this.phase = next;
    if (wasAsked) this.answered();
  }

  /** Ends the route when the grant's time has come; `cancel` undoes that (P6.3). */
  setDeadline(cancel: () => void): void {
    this.cancelDeadline = cancel;
  }

  /** True between the mediator's ATTACHED and the end. */
  get live(): boolean {
    return this.phase === 'live';
  }

  /** True once the route has ended. */
  get ended(): boolean {
    return this.phase === 'ended';
  }

  /** Bytes that wait in both directions. */
  get heldBytes(): number {
    return this.terminalEnd.queue.heldBytes + this.mediatorEnd.queue.heldBytes;
  }

  /** One end has gone, and knows it; the other is told. */
  endFrom(side: RouteSide, farewell: Farewell, code: ErrorCode): void {
    const other = side === 'terminal' ? 'mediator' : 'terminal';
    this.finish({ [other]: farewell }, code);
  }

  /** The server takes the route away: the terminal must not come back by itself, the mediator holds nothing for it. */
  end(code: ErrorCode): void {
    this.finish({ terminal: 'detach', mediator: 'detach' }, code);
  }

  /** The server has no room: both ends keep what they have and may resume (P2.3). */
  shed(): void {
    this.finish({ terminal: 'unrouted', mediator: 'unrouted' }, 'limit');
  }

  /** The mediator has refused; the terminal is told so by ATTACHED. */
  forget(): void {
    this.finish({}, 'detached');
  }

  /** A member broke a rule of the label: it is sent away, the other learns that it is gone (P3.8). */
  break(side: RouteSide, code: ErrorCode): void {
    const other = side === 'terminal' ? 'mediator' : 'terminal';
    this.finish({ [side]: 'detach', [other]: 'unrouted' }, code, side);
  }

  private finish(
    farewells: { readonly terminal?: Farewell; readonly mediator?: Farewell },
    code: ErrorCode,
    brokenBy?: RouteSide,
  ): void {
    if (this.phase === 'ended') return;
    const wasLive = this.live;
    this.leaveAsked('ended');
    this.cancelDeadline();
    this.terminalEnd.close(farewells.terminal, code, wasLive);
    this.mediatorEnd.close(farewells.mediator, code, wasLive);
    this.host.onEnded(this, code, brokenBy);
  }
}

function unknownType(type: number): EntremiseError {
  const name = frameNameOf(type)?.toUpperCase() ?? `type ${type}`;
  return new EntremiseError('unknown-type', { message: `${name} may not come from a member on a label.` });
}
