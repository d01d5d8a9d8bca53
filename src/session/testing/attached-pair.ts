import { type FakeClock, fakeClock } from '../../base/clock.ts';
import type { ErrorCode } from '../../base/errors.ts';
import type { Frame } from '../../wire/frame.ts';
import type { Datagram } from '../../wire/messages/binary.ts';
import type { Command, Result } from '../../wire/messages/command.ts';
import type { PortEvent } from '../../wire/messages/event.ts';
import { Attachment, type Binding } from '../attachment.ts';
import { Budget } from '../budget.ts';
import type { ControlKeys } from '../control-stream.ts';
import { HopCredit } from '../hop-credit.ts';
import { PendingAttempt } from '../pending-attempt.ts';
import { type LabelSource, type LinkPosition, Scheduler } from '../scheduler.ts';
import { SlabPool } from '../slab.ts';
import type { Stream, StreamHandlers } from '../stream.ts';
import { attachAttempts } from './attach-attempts.ts';
import { emptyLink, parseFrame } from './frames.ts';

/** One end of {@link attachedPair}: the attachment, what it was told, and the frames that wait to leave. */
export interface End {
  readonly attachment: Attachment;
  readonly scheduler: Scheduler;
  /** Of the label it has. */
  credit: HopCredit;
  readonly commands: { command: Command; seq: number; denied: ErrorCode | undefined }[];
  readonly results: Result[];
  readonly events: PortEvent[];
  readonly datagrams: Datagram[];
  readonly receiveBudget: Budget;
  readonly replayBudget: Budget;
}

/** Two attachments joined by a pipe of frames that moves when told to. */
export interface AttachedPair {
  readonly clock: FakeClock;
  readonly terminal: End;
  readonly mediator: End;
  /** What the terminal's messages of stream 0 are authenticated with. */
  readonly terminalKeys: ControlKeys;
  /**
   * A new label by a new attempt. The terminal leaves its old one at once, if it has not yet; the mediator when the
   * terminal has proved itself on the new, by RESUME. What is under way on the old is for the caller to drop.
   * `to`: what the mediator has for it, if not what it had.
   */
  rebind(to?: Attachment): void;
  /** Moves frames both ways until nothing is left to go; `tamper` may change or drop (undefined) each. */
  settle(tamper?: (frame: Frame, from: 'terminal' | 'mediator') => Buffer | undefined): void;
  /** The next frame of an end as it is written to the link: memory that is still the end's. */
  takeBytes(end: 'terminal' | 'mediator'): Buffer | undefined;
  /** Labels of the newest attempt. */
  readonly labels: Readonly<Record<'terminal' | 'mediator', number>>;
  /** True while the terminal has yet to prove itself on the newest labels. */
  readonly moving: boolean;
  /** Takes one frame of an end, without delivering it. */
  takeFrom(end: 'terminal' | 'mediator'): Frame | undefined;
  /** Delivers bytes of one frame to an end. */
  deliverTo(end: 'terminal' | 'mediator', bytes: Buffer): void;
  /** Lets the delay of P3.1 pass, and settles. */
  passDelay(): void;
}

function makeEnd(
  side: 'terminal' | 'mediator',
  clock: FakeClock,
  budgetBytes: number,
  creditBytes: number,
  position: LinkPosition,
): End {
  const commands: End['commands'] = [];
  const results: Result[] = [];
  const events: PortEvent[] = [];
  const datagrams: Datagram[] = [];
  const receiveBudget = new Budget(budgetBytes);
  const replayBudget = new Budget(budgetBytes);
  const resources = { pool: new SlabPool(), receiveBudget, replayBudget, now: () => clock.now() };
  const attachment = new Attachment(side, resources, {
    onCommand: (command, seq, denied) => commands.push({ command, seq, denied }),
    onResult: result => results.push(result),
    onEvent: event => events.push(event),
    onDatagram: datagram => datagrams.push({ ...datagram, bytes: Buffer.from(datagram.bytes) }),
    onOpen: () => {},
    onControlRoom: () => {},
  });
  const told = { commands, results, events, datagrams, receiveBudget, replayBudget };
  return {
    attachment,
    scheduler: new Scheduler(() => {}, position),
    credit: new HopCredit(creditBytes),
    ...told,
  };
}

/** What the pair is made of. */
export interface PairOptions {
  readonly budgetBytes?: number;
  readonly creditBytes?: number;
  /** Replaces the terminal's signature over T. */
  readonly signature?: Buffer;
  /** How far the links of the ends have got; as soon as a frame is written it has left, if not said. */
  readonly positions?: Readonly<Record<'terminal' | 'mediator', LinkPosition>>;
  /** Leaves the opening frames undelivered. */
  readonly unopened?: boolean;
}

/** Two ends of one attachment, opened by the real handshake of P6.4 and P4.4. */
export function attachedPair(options: PairOptions = {}): AttachedPair {
  const { budgetBytes = 8 * 1024 * 1024, creditBytes = Number.MAX_SAFE_INTEGER } = options;
  const { positions = { terminal: emptyLink, mediator: emptyLink } } = options;
  const clock = fakeClock();
  const terminal = makeEnd('terminal', clock, budgetBytes, creditBytes, positions.terminal);
  const mediator = makeEnd('mediator', clock, budgetBytes, creditBytes, positions.mediator);
  const ends = { terminal, mediator };
  const nextAttempt = attachAttempts();
  const first = nextAttempt();
  const { signature = first.agreed.signature } = options;
  const verifierOf = ({ answered }: typeof first) => ({
    keys: answered.keys,
    verify: (given: Uint8Array | undefined) => answered.verify(given),
  });
  let labels = 1;
  let pending: { readonly attempt: PendingAttempt; readonly to: Attachment } | undefined;
  mediator.attachment.bind({ ...linkOf(clock, mediator, 2), ...verifierOf(first) });
  terminal.attachment.bind({ ...linkOf(clock, terminal, 1), keys: first.agreed.keys, signature });
  const pair: AttachedPair = {
    clock,
    terminal,
    mediator,
    terminalKeys: first.agreed.keys,
    rebind(to = mediator.attachment) {
      const attempt = nextAttempt();
      labels += 2;
      for (const end of [terminal, mediator]) end.credit = new HopCredit(creditBytes);
      terminal.attachment.suspend();
      const binding = { ...linkOf(clock, mediator, labels + 1), ...verifierOf(attempt) };
      pending = { attempt: new PendingAttempt(binding), to };
      const { keys, signature } = attempt.agreed;
      terminal.attachment.bind({ ...linkOf(clock, terminal, labels), keys, signature });
    },
    takeBytes: end => ends[end].scheduler.take(),
    get labels() {
      return { terminal: labels, mediator: labels + 1 };
    },
    get moving() {
      return pending !== undefined;
    },
    takeFrom(end) {
      const bytes = pair.takeBytes(end);
      return bytes === undefined ? undefined : parseFrame(bytes);
    },
    deliverTo(end, bytes) {
      const frame = parseFrame(bytes);
      if (end === 'terminal' || pending === undefined) return ends[end].attachment.receive(frame);
      const { attempt, to } = pending;
      if (!attempt.receive(frame)) return;
      pending = undefined;
      to.moveTo(attempt);
    },
    settle(tamper = frame => frame.bytes) {
      for (let moved = true; moved; ) {
        moved = false;
        for (const from of ['terminal', 'mediator'] as const) {
          const frame = pair.takeFrom(from);
          if (frame === undefined) continue;
          moved = true;
          const bytes = tamper(frame, from);
          if (bytes !== undefined) pair.deliverTo(from === 'terminal' ? 'mediator' : 'terminal', bytes);
        }
      }
    },
    passDelay() {
      clock.advance(50);
      pair.settle();
    },
  };
  if (options.unopened !== true) pair.settle();
  return pair;
}

/** What an end needs of its link, but the keys. */
function linkOf(clock: FakeClock, end: End, label: number): Omit<Binding, 'keys'> {
  return {
    label,
    credit: end.credit,
    wake: (source: LabelSource) => end.scheduler.wake(source),
    requestTick: atMs => clock.after(atMs - clock.now(), () => end.attachment.tick(clock.now())),
    roundTripMs: () => 10,
  };
}

/** A stream's owner that keeps what it is told. */
export interface Recorder extends StreamHandlers {
  readonly bytes: () => Buffer;
  readonly told: string[];
}

/** Records a stream; takes bytes at once unless `holding`. */
export function record(stream: Stream, holding = false): Recorder {
  const pieces: Buffer[] = [];
  const told: string[] = [];
  const recorder: Recorder = {
    told,
    bytes: () => Buffer.concat(pieces),
    onData(bytes) {
      pieces.push(Buffer.from(bytes));
      if (!holding) stream.taken(bytes.length);
    },
    onFin: () => told.push('fin'),
    onReset: code => told.push(`reset ${code}`),
    onRoom: () => told.push('room'),
    onFinished: () => told.push('finished'),
  };
  stream.setHandlers(recorder);
  return recorder;
}

/** A stream made by the terminal and accepted by the mediator, as CONNECT and its RESULT do it. */
export function connectedStreams(pair: AttachedPair): { terminal: Stream; mediator: Stream } {
  const made = pair.terminal.attachment.createStream(0);
  if (made === undefined) throw new Error('no budget');
  const accepted = pair.mediator.attachment.acceptStream(made.stream.id, made.limit);
  if (accepted === undefined) throw new Error('no budget');
  made.stream.raiseLimit(accepted.limit);
  return { terminal: made.stream, mediator: accepted.stream };
}
