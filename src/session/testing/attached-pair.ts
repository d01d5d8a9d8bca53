import { randomBytes } from 'node:crypto';
import { type FakeClock, fakeClock } from '../../base/clock.ts';
import type { ErrorCode } from '../../base/errors.ts';
import { generateSigningKey } from '../../base/keys.ts';
import type { Frame } from '../../wire/frame.ts';
import { attachInner } from '../../wire/messages/attach.ts';
import type { Datagram } from '../../wire/messages/binary.ts';
import type { Command, Result } from '../../wire/messages/command.ts';
import type { PortEvent } from '../../wire/messages/event.ts';
import { answerAttach, prepareAttach } from '../attach-handshake.ts';
import { Attachment, type Binding } from '../attachment.ts';
import { Budget } from '../budget.ts';
import type { ControlKeys } from '../control-stream.ts';
import { HopCredit } from '../hop-credit.ts';
import { type LabelSource, Scheduler } from '../scheduler.ts';
import { SlabPool } from '../slab.ts';
import type { Stream, StreamHandlers } from '../stream.ts';
import { emptyLink, parseFrame } from './frames.ts';

/** One end of {@link attachedPair}: the attachment, what it was told, and the frames that wait to leave. */
export interface End {
  readonly attachment: Attachment;
  readonly scheduler: Scheduler;
  readonly credit: HopCredit;
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
  /** Moves frames both ways until nothing is left to go; `tamper` may change or drop (undefined) each. */
  settle(tamper?: (frame: Frame, from: 'terminal' | 'mediator') => Buffer | undefined): void;
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
    scheduler: new Scheduler(() => {}, emptyLink),
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
  /** Leaves the opening frames undelivered. */
  readonly unopened?: boolean;
}

/** Two ends of one attachment, opened by the real handshake of P6.4 and P4.4. */
export function attachedPair(options: PairOptions = {}): AttachedPair {
  const { budgetBytes = 8 * 1024 * 1024, creditBytes = Number.MAX_SAFE_INTEGER } = options;
  const clock = fakeClock();
  const terminal = makeEnd('terminal', clock, budgetBytes, creditBytes);
  const mediator = makeEnd('mediator', clock, budgetBytes, creditBytes);
  const terminalKeys = bindBoth(clock, terminal, mediator, options.signature);
  const ends = { terminal, mediator };
  const pair: AttachedPair = {
    clock,
    terminal,
    mediator,
    terminalKeys,
    takeFrom(end) {
      const bytes = ends[end].scheduler.take();
      return bytes === undefined ? undefined : parseFrame(bytes);
    },
    deliverTo: (end, bytes) => ends[end].attachment.receive(parseFrame(bytes)),
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

function bindBoth(
  clock: FakeClock,
  terminal: End,
  mediator: End,
  signature: Buffer | undefined,
): ControlKeys {
  const terminalKey = generateSigningKey();
  const mediatorKey = generateSigningKey();
  const instance = randomBytes(16);
  const request = {
    mediatorKey: mediatorKey.publicKey,
    instance,
    attachmentId: randomBytes(16),
    attempt: 1,
    grant: 'grant',
    holdMs: 0,
    purpose: 'assistance' as const,
    capabilities: [],
  };
  const prepared = prepareAttach(request, terminalKey);
  const theirs = attachInner.fromBytes(prepared.inner);
  const answered = answerAttach(prepared.inner, theirs, {
    signer: mediatorKey,
    instance,
    holdMs: 0,
    capabilities: [],
  });
  const agreed = prepared.complete({ label: 1, inner: answered.inner, signature: answered.signature });
  const bindingOf = (end: End, label: number): Omit<Binding, 'keys'> => ({
    label,
    credit: end.credit,
    wake: (source: LabelSource) => end.scheduler.wake(source),
    requestTick: atMs => clock.after(atMs - clock.now(), () => end.attachment.tick(clock.now())),
    roundTripMs: () => 10,
  });
  mediator.attachment.bind({
    ...bindingOf(mediator, 2),
    keys: answered.keys,
    verify: s => answered.verify(s),
  });
  terminal.attachment.bind({
    ...bindingOf(terminal, 1),
    keys: agreed.keys,
    signature: signature ?? agreed.signature,
  });
  return agreed.keys;
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
