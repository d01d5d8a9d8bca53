import type { ExecutionContext } from 'ava';
import { type FakeClock, fakeClock } from '../../base/clock.ts';
import { until } from '../../native/test-sockets.ts';
import { type Device, device } from './devices.ts';
import { makeRig, type Rig, type RigOptions } from './rig.ts';
import { type TerminalOptions, TestTerminal } from './test-terminal.ts';

/** A mediator with one terminal attached, gone after the test. */
export async function attached(
  t: ExecutionContext,
  options: RigOptions & TerminalOptions = {},
): Promise<{ rig: Rig; terminal: TestTerminal }> {
  const rig = await makeRig(options);
  t.teardown(() => rig.close());
  return { rig, terminal: await TestTerminal.attach(rig, options) };
}

/** A mediator whose time stands still, and a terminal with a hold of 2 min whose link has just been lost. */
export async function suspended(
  t: ExecutionContext,
  options: RigOptions & TerminalOptions = {},
  before: (terminal: TestTerminal) => Promise<unknown> = async () => {},
): Promise<{ rig: Rig; terminal: TestTerminal; clock: FakeClock }> {
  const clock = fakeClock();
  const { rig, terminal } = await attached(t, { clock, holdMs: 120_000, ...options });
  await before(terminal);
  terminal.lose();
  await until('it is suspended', () => rig.agent.heldCount === 1);
  return { rig, terminal, clock };
}

/** A device for this test. */
export async function playing(t: ExecutionContext, ...args: Parameters<typeof device>): Promise<Device> {
  const played = await device(...args);
  t.teardown(() => played.close());
  return played;
}

/** Nothing of the rig's budgets is promised any more. */
export function budgetsAreWhole({ agent: { budgets } }: Rig): boolean {
  return [budgets.receive, budgets.replay].every(budget => budget.freeBytes === budget.totalBytes);
}
