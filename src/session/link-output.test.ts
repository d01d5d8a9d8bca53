import test from 'ava';
import { type FakeClock, fakeClock } from '../base/clock.ts';
import type { Transport } from '../transport/transport.ts';
import { frameType } from '../wire/spec.ts';
import { LinkOutput } from './link-output.ts';

const frameBytes = 16 * 1024;

/** What Linux takes before it refuses. */
const machineHolds = 64 * 1024;

/** A machine that sends so many bytes a millisecond, and says that it has taken something, never that it has sent it. */
class Machine {
  readonly hidesBacklog = false;
  mostUnsent = 0;
  onTaken = () => {};
  private writtenBytes = 0;
  private gone = 0;
  private atMs = 0;
  private readonly clock: FakeClock;
  private readonly bytesPerMs: number;

  constructor(clock: FakeClock, bytesPerMs: number) {
    this.clock = clock;
    this.bytesPerMs = bytesPerMs;
  }

  get sentBytes(): number {
    const nowMs = this.clock.now();
    this.gone = Math.min(this.writtenBytes, this.gone + (nowMs - this.atMs) * this.bytesPerMs);
    this.atMs = nowMs;
    return this.gone;
  }

  get takenBytes(): number {
    return Math.min(this.writtenBytes, this.sentBytes + machineHolds);
  }

  get backlogBytes(): number {
    return this.writtenBytes - this.takenBytes;
  }

  unsentBytes(): number {
    return this.takenBytes - this.sentBytes;
  }

  write(bytes: Buffer): void {
    this.writtenBytes += bytes.length;
    this.mostUnsent = Math.max(this.mostUnsent, this.unsentBytes());
    this.tell(this.takenBytes);
  }

  private tell(takenBefore: number): void {
    this.clock.after(this.backlogBytes === 0 ? 0 : 1, () => {
      const waits = this.backlogBytes > 0;
      if (this.takenBytes > takenBefore || !waits) this.onTaken();
      if (waits) this.tell(this.takenBytes);
    });
  }
}

/** Bulk over a link of that rate for two seconds, of which what came in the second one counts. */
function bulk(bytesPerMs: number) {
  const clock = fakeClock();
  const machine = new Machine(clock, bytesPerMs);
  const frame = Buffer.alloc(frameBytes, frameType.data);
  const output = new LinkOutput({
    transport: machine as Partial<Transport> as Transport,
    clock,
    paced: false,
    window: undefined,
    onWritten: () => {},
  });
  machine.onTaken = () => output.onDrain();
  const nothing = (): undefined => {};
  let left = 2_500 * bytesPerMs;
  const data = (): Buffer | undefined => {
    left -= frameBytes;
    return left < 0 ? undefined : frame;
  };
  output.scheduler.wake({ takeUrgent: nothing, takeControl: nothing, takeData: data });
  output.onDrain();
  clock.advance(1_000);
  machine.mostUnsent = 0;
  const before = machine.sentBytes;
  clock.advance(1_000);
  return { machine, output, clock, sent: machine.sentBytes - before };
}

for (const bytesPerMs of [200, 1_250, 12_500, 25_000])
  test(`P2.1: where ${bytesPerMs * 8} kbit/s leave, no more than 2 ms of it or 16 KiB waits in the machine before a frame goes there, and it is never without`, t => {
    const { machine, sent } = bulk(bytesPerMs);
    t.true(
      machine.mostUnsent <= Math.max(2 * bytesPerMs, frameBytes) * 1.1 + frameBytes,
      `${machine.mostUnsent}`,
    );
    t.true(sent >= 950 * bytesPerMs, `${sent}`);
  });

test('P2.1: what a stopped output has not written it does not write later', t => {
  const { machine, output, clock } = bulk(1_250);
  output.stop();
  const { takenBytes } = machine;
  clock.advance(1_000);
  t.is(machine.takenBytes, takenBytes);
});
