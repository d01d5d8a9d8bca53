import type { ExecutionContext } from 'ava';
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
