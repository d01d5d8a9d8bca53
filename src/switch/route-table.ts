import type { Clock } from '../base/clock.ts';
import type { ErrorCode } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { Budget } from '../session/budget.ts';
import type { Frame } from '../wire/frame.ts';
import { passCommand } from './command-door.ts';
import type { RouteSide } from './frame-class.ts';
import type { Audit } from './permit.ts';
import type { Route, RouteHost } from './route.ts';
import { SwitchFigures } from './switch-figures.ts';

/** What bounds the routes of a process (P2.3). */
export interface RouteLimits {
  /** Hop credit beyond the first 256 KiB a label and direction, all labels together. */
  readonly creditBytes: number;
  /** What may wait in queues at all; beyond, the attachment that holds most is ended. */
  readonly queuedBytes: number;
}

/** What the table needs. */
export interface RouteTableOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly audit: Audit;
  readonly limits: RouteLimits;
  /** A route has ended, for that reason; its labels are free. */
  onEnded(route: Route, code: ErrorCode): void;
}

/** Every live route: its end by time, by revocation and by want of memory, and the door for its COMMANDs. */
export class RouteTable implements RouteHost {
  readonly creditBudget: Budget;
  readonly figures = new SwitchFigures();
  private readonly options: RouteTableOptions;
  private readonly routes = new Set<Route>();
  private heldBytes = 0;
  /** Datagrams that queues dropped because too many waited. */
  droppedDatagrams = 0;

  constructor(options: RouteTableOptions) {
    this.options = options;
    this.creditBudget = new Budget(options.limits.creditBytes);
  }

  /** Live routes. */
  get size(): number {
    return this.routes.size;
  }

  /** Bytes of hop credit that labels have beyond their first. */
  get grownCreditBytes(): number {
    return this.creditBudget.totalBytes - this.creditBudget.freeBytes;
  }

  /** Of {@link RouteHost}. */
  now(): number {
    return this.options.clock.now();
  }

  /** Bytes that wait in all queues. */
  get queuedBytes(): number {
    return this.heldBytes;
  }

  /** A route carries frames from now on, until its grant's time has come (P6.3). */
  add(route: Route): void {
    this.routes.add(route);
    const { clock } = this.options;
    const leftMs = route.permit.deadlineMs - clock.now();
    route.setDeadline(clock.after(leftMs, () => this.end(route, 'grant-expired')));
    // What was revoked while the mediator thought about it.
    const code = route.permit.recheck();
    if (code !== undefined) this.end(route, code);
  }

  /** Ends what is no longer allowed, after keys or grants were revoked or documents changed (P6.2). */
  revalidate(): void {
    for (const route of [...this.routes]) {
      const code = route.permit.recheck();
      if (code !== undefined) this.end(route, code);
    }
  }

  private end(route: Route, code: ErrorCode): void {
    this.options.log.info({ ...route.parties, code }, 'attachment ended by the server');
    route.end(code);
  }

  passCommand(frame: Frame, route: Route): Frame {
    const { audit, log } = this.options;
    return passCommand(frame, route, {
      audit,
      onRefused: code => this.figures.onRefused('refusedCommands', code),
      onAuditFailed: cause => log.error({ err: cause }, 'audit line not written, command refused'),
    });
  }

  onHeld(deltaBytes: number): void {
    this.heldBytes += deltaBytes;
    if (deltaBytes > 0 && this.heldBytes > this.options.limits.queuedBytes) this.shedFattest();
  }

  onDatagramsDropped(count: number): void {
    this.droppedDatagrams += count;
  }

  /** Resume makes this lossless: both ends keep what was not delivered (P2.3). */
  private shedFattest(): void {
    let fattest: Route | undefined;
    for (const route of this.routes) if (route.heldBytes > (fattest?.heldBytes ?? 0)) fattest = route;
    if (fattest === undefined) return;
    this.options.log.warn({ ...fattest.parties, bytes: fattest.heldBytes }, 'no room: attachment unrouted');
    fattest.shed();
  }

  onEnded(route: Route, code: ErrorCode, brokenBy: RouteSide | undefined): void {
    this.routes.delete(route);
    this.options.onEnded(route, code);
    if (brokenBy === undefined) return;
    this.options.log.warn({ ...route.parties, code, brokenBy }, 'attachment ended: a rule was broken');
  }
}
