import type { Command } from 'commander';
import type { DeviceListing } from '../../terminal/index.ts';
import { type Context, contextOf } from '../context.ts';
import { formatDuration } from '../duration.ts';
import { examples } from '../examples.ts';
import { table } from '../output.ts';
import { withAttachment } from '../with-terminal.ts';

/** Adds `entremise devices`. */
export function addDevicesVerb(program: Command): void {
  program
    .command('devices')
    .description(
      "the devices of a mediator's LAN that your grant lets you connect to, as its gateway knows them",
    )
    .argument('<mediator>')
    .addHelpText('after', examples('devices home-4711', 'devices home-4711 --json'))
    .action((name: string, _options, command) => devices(contextOf(command), name));
}

function devices(context: Context, name: string): Promise<void> {
  return withAttachment(context, name, async attachment => {
    const list = await attachment.devices();
    context.output.result(
      list.map(described),
      list.length === 0 ? ['none that your grant lets you connect to'] : table(rowsOf(list)),
    );
  });
}

/** A device as --json gives it. */
function described({ leaseUntilMs, ...rest }: DeviceListing): Record<string, unknown> {
  return { ...rest, ...(leaseUntilMs === undefined ? {} : { leaseUntil: leaseText(leaseUntilMs) }) };
}

/** Foreign numbers need not be dates. */
function leaseText(leaseUntilMs: number): string | null {
  const date = new Date(leaseUntilMs);
  return Number.isNaN(date.getTime()) ? null : date.toISOString();
}

function rowsOf(list: readonly DeviceListing[]): string[][] {
  const nowMs = Date.now();
  const rows = list.map(device => [
    device.name ?? '-',
    device.addresses.join(', '),
    device.hardwareAddress ?? '-',
    device.interface ?? '-',
    device.seen ?? '-',
    device.leaseUntilMs === undefined ? '-' : formatDuration(Math.max(0, device.leaseUntilMs - nowMs)),
  ]);
  return [['NAME', 'ADDRESSES', 'MAC', 'INTERFACE', 'SEEN', 'LEASE'], ...rows];
}
