import fc from 'fast-check';
import { pattern } from '../../../session/testing/frames.ts';
import type { ModelEnd } from '../../../session/testing/model-end.ts';
import type { Association } from './association.ts';
import { listenLimitBytes } from './association.ts';
import { checkNothingLeft, checkOver, checkSettled } from './checks.ts';
import { PathWorld, turn, type WorldOptions } from './world.ts';

/** Histories of whole paths: what may happen, in which world, and how each ends. */

/** One step. What its numbers mean is up to the operation. */
export interface Step {
  readonly what: string;
  readonly pick: number;
  readonly amount: number;
}

/** A history and the world it happens in. */
export interface History {
  readonly options: WorldOptions;
  readonly steps: readonly Step[];
}

type Operation = (world: PathWorld, step: Step) => unknown;

function associationOf(world: PathWorld, pick: number): Association | undefined {
  return world.terminal(pick).association;
}

function endOf(world: PathWorld, { pick, what }: Step): ModelEnd | undefined {
  const ends = world.liveEnds;
  // Different operations of one pick are not all about the same end.
  return ends[(pick + what.length) % Math.max(1, ends.length)];
}

function wireOf(world: PathWorld, pick: number) {
  return world.wires[pick % Math.max(1, world.wires.length)];
}

function processOf(world: PathWorld, pick: number) {
  return world.processes[pick % world.processes.length];
}

const query = { verb: 'query', what: 'limits' } as const;
const open = { verb: 'open', protocol: 'tcp', number: 0, choice: 'any' } as const;
const listen = { verb: 'listen', port: 1, backlog: 16, whileAway: true, limit: listenLimitBytes } as const;

/** A datagram of the one end or the other. */
function datagram(world: PathWorld, pick: number, sizeBytes: number): void {
  const terminal = world.terminal(pick >> 1);
  if (terminal.association === undefined) return;
  if ((pick & 1) === 0) terminal.sendDatagram(sizeBytes);
  else world.mediator.sendDatagram(terminal.association, sizeBytes);
}

/** What owners do. */
const ofOwners: Readonly<Record<string, Operation>> = {
  connect: (world, { pick }) => world.terminal(pick).connectStream(),
  listen: (world, { pick }) => world.terminal(pick).command(listen),
  accept: (world, { pick }) => {
    const association = associationOf(world, pick);
    if (association !== undefined) world.mediator.accept(association);
  },
  open: (world, { pick }) => world.terminal(pick).command(open),
  query: (world, { pick }) => world.terminal(pick).command(query),
  tell: (world, { pick }) => {
    const association = associationOf(world, pick);
    if (association !== undefined) world.mediator.tell(association);
  },
  datagrams: (world, { pick, amount }) => {
    for (let count = 1 + (pick % 3); count > 0; count--) datagram(world, pick, amount);
  },
  write: (world, step) => endOf(world, step)?.write(pattern(step.amount, step.pick + 1)),
  take: (world, step) => endOf(world, step)?.take(step.amount),
  finish: (world, step) => endOf(world, step)?.finish(),
  abort: (world, step) => endOf(world, step)?.abort('aborted', false),
  abortAfterData: (world, step) => endOf(world, step)?.abort('peer-reset', true),
  attach: (world, { pick }) => world.terminal(pick).attach(),
  detach: (world, { pick }) => world.terminal(pick).detach(),
};

/** What becomes of bytes and of time. */
const ofNetworks: Readonly<Record<string, Operation>> = {
  exchange: (world, { pick }) => world.exchange(1 + (pick % 4)),
  arrive: (world, { pick, amount }) => wireOf(world, pick >> 1)?.ends[pick & 1]?.arrive(amount),
  wait: (world, { amount }) => world.clock.advance(amount % 200),
  pass: (world, { amount }) => world.pass(amount % 8000),
  cut: (world, { pick, amount }) => {
    const wire = wireOf(world, pick >> 3);
    const keep = (bytes: number) => amount % (bytes + 1);
    wire?.cut(keep(wire.member.underWayBytes), keep(wire.server.underWayBytes));
    // Who finds out, and in which order, is as random as the rest.
    if ((pick & 1) !== 0) wire?.member.notice();
    if ((pick & 2) !== 0) wire?.server.notice();
  },
  notice: (world, { pick }) => wireOf(world, pick >> 1)?.ends[pick & 1]?.notice(),
  connectLink: (world, { pick }) => processOf(world, pick)?.connect(),
  recover: world => recover(world, 1),
};

/** Who dies, and comes again. */
const ofProcesses: Readonly<Record<string, Operation>> = {
  killServer: world => world.killServer(),
  startServer: world => world.startServer(),
  kill: (world, { pick }) => processOf(world, pick)?.die(),
  start: (world, { pick }) => processOf(world, pick)?.start(),
  revoke: (world, { pick }) => world.revoke(world.terminal(pick)),
  shortenGrant: (world, { pick, amount }) => world.shortenGrant(world.terminal(pick), amount % 8000),
  expire: (world, { pick }) => {
    const association = associationOf(world, pick);
    if (association !== undefined) world.mediator.expire(association);
  },
  forgive: world => world.forgive(),
  endOfHold: world => world.pass(Math.min(world.holdMs, 30_000)),
};

/** Everything that can happen, by name. */
export const operations: Readonly<Record<string, Operation>> = { ...ofOwners, ...ofNetworks, ...ofProcesses };

/** Everyone lives, finds out about broken wires, and has what it needs to go on. */
async function recover(world: PathWorld, rounds: number): Promise<void> {
  world.startServer();
  for (const wire of world.wires) for (const end of wire.ends) end.notice();
  await turn();
  for (const one of world.processes) {
    one.start();
    one.connect();
  }
  for (let round = 0; round < rounds; round++) {
    await world.exchange(8);
    for (const terminal of world.terminals) if (terminal.association !== undefined) terminal.attach();
    await world.exchange(4);
  }
}

/** Nothing goes wrong any more, everything is read, until nothing moves. */
async function settle(world: PathWorld): Promise<void> {
  await recover(world, 1);
  for (let quiet = 0, rounds = 0; quiet < 3; rounds++) {
    if (rounds > 3000) throw new Error('it never comes to rest');
    for (const end of world.liveEnds) end.take(Number.POSITIVE_INFINITY);
    for (const one of world.processes) one.connect();
    for (const terminal of world.terminals) if (terminal.association !== undefined) terminal.attach();
    world.clock.advance(50);
    const moved = await world.exchange(1);
    const waits = world.terminals.some(
      ({ association, open: isOpen }) => association !== undefined && !isOpen,
    );
    quiet = moved === 0 && !waits ? quiet + 1 : 0;
    world.check();
  }
}

/** A world with everyone online and attached, and a stream of each side. */
async function begin(options: WorldOptions): Promise<PathWorld> {
  const world = new PathWorld(options);
  for (const one of world.processes) one.connect();
  await world.exchange(6);
  for (const terminal of world.terminals) terminal.attach();
  await world.exchange(6);
  for (const terminal of world.terminals) {
    terminal.command(listen);
    terminal.connectStream();
  }
  await world.exchange(2);
  for (const { association } of world.terminals)
    if (association !== undefined) world.mediator.accept(association);
  await world.exchange(1);
  return world;
}

/** Runs a history to the end of everything. @throws Error when something that must hold does not */
export async function runHistory({ options, steps }: History): Promise<PathWorld> {
  const world = await begin(options);
  for (const step of steps) {
    await operations[step.what]?.(world, step);
    await turn();
    world.check();
  }
  await settle(world);
  checkSettled(world);
  for (const end of world.liveEnds) end.finish();
  // On a path where nothing is lost any more every one of them arrives.
  for (let pick = 0; pick < 2 * world.terminals.length; pick++) datagram(world, pick, 100);
  await settle(world);
  checkSettled(world);
  checkOver(world, false);
  for (const terminal of world.terminals) terminal.detach();
  await world.exchange(6);
  // What is held for terminals that died.
  if (world.mediator.attachments.length > 0) await world.pass(world.holdMs + 1000);
  checkOver(world, true);
  checkNothingLeft(world);
  return world;
}

const kib = 1024;

const worlds: fc.Arbitrary<WorldOptions> = fc.record({
  terminals: fc.constantFrom(1, 1, 2),
  budgetBytes: fc.constantFrom(12 * kib, 64 * kib, 16_384 * kib, 16_384 * kib),
  wireBytes: fc.constantFrom(512, 8 * kib, 256 * kib),
  holdMs: fc.constantFrom(0, 20_000, 20_000, 60_000),
  standing: fc.boolean(),
  haste: fc.constantFrom(1, 200),
  // Less room than one label may fill by its first credit would be unrouted again and again: no server is given so little.
  limits: fc.constantFrom({}, { creditBytes: 0 }, { queuedBytes: 300 * kib }),
});

/** How often each operation stands in a history, compared with the others. */
const weights: Readonly<Record<string, number>> = {
  connect: 3,
  listen: 1,
  accept: 3,
  open: 1,
  query: 2,
  tell: 2,
  datagrams: 6,
  write: 8,
  take: 5,
  finish: 3,
  abort: 1,
  abortAfterData: 1,
  attach: 1,
  detach: 1,
  exchange: 8,
  arrive: 10,
  wait: 4,
  pass: 1,
  cut: 4,
  notice: 2,
  connectLink: 1,
  recover: 3,
  killServer: 1,
  startServer: 1,
  kill: 1,
  start: 1,
  revoke: 1,
  shortenGrant: 1,
  expire: 1,
  forgive: 2,
  endOfHold: 1,
};

/** Histories of at most `maxSteps` steps. */
export function histories(maxSteps: number): fc.Arbitrary<History> {
  const names = Object.entries(weights).flatMap(([name, weight]) => Array<string>(weight).fill(name));
  const step = fc.record({
    what: fc.constantFrom(...names),
    pick: fc.nat(30),
    amount: fc.oneof(fc.nat(100), fc.nat(20_000)),
  });
  return fc.record({ options: worlds, steps: fc.array(step, { maxLength: maxSteps, size: 'max' }) });
}

/** What one run of {@link checkHistories} has looked at. */
export interface Looked {
  histories: number;
  streams: number;
  /** That came. */
  datagrams: number;
  resentBytes: number;
}

/**
 * Random histories, the same for the same seed.
 * @throws Error with the seed and the shortest history that fails
 */
export async function checkHistories(runs: number, seed?: number): Promise<Looked> {
  const looked: Looked = { histories: 0, streams: 0, datagrams: 0, resentBytes: 0 };
  const property = fc.asyncProperty(histories(30), async history => {
    const world = await runHistory(history);
    looked.histories++;
    looked.streams += world.streams.length;
    for (const { datagrams } of world.associations)
      looked.datagrams += datagrams.terminal.heard + datagrams.mediator.heard;
    looked.resentBytes += world.resentBytes;
  });
  await fc.assert(property, {
    numRuns: runs,
    includeErrorInReport: true,
    ...(seed === undefined ? {} : { seed }),
  });
  return looked;
}
