import { readFileSync } from 'node:fs';
import { parseAssignment, parseUuid } from './proc-text.ts';

/** Reads a file of the system, or undefined when it is not there: no machine has all of them. */
export function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

/** How files of the system are read: {@link readIfThere}, or a table in tests. */
export type ReadText = (path: string) => string | undefined;

/** One line of text as the firmware wrote it, which ends with zeros or blanks. */
function clean(text: string | undefined): string | undefined {
  const line = text?.replaceAll('\0', '').trim();
  return line === undefined || line === '' ? undefined : line;
}

/** The machine's model: OpenWrt's own word, the device tree's, or the firmware's. */
export function machineModel(read: ReadText): string | undefined {
  const dmi = ['sys_vendor', 'product_name'].flatMap(name => clean(read(`/sys/class/dmi/id/${name}`)) ?? []);
  return (
    clean(read('/tmp/sysinfo/model')) ??
    clean(read('/proc/device-tree/model')) ??
    (dmi.length > 0 ? dmi.join(' ') : undefined)
  );
}

/** The board's name, which the model is sold under many of: OpenWrt's own word, or the device tree's first. */
export function machineBoard(read: ReadText): string | undefined {
  const compatible = read('/proc/device-tree/compatible')?.split('\0')[0];
  return clean(read('/tmp/sysinfo/board_name')) ?? clean(compatible);
}

/** The operating system's release, as it calls itself. */
export function machineRelease(read: ReadText): string | undefined {
  return (
    parseAssignment(read('/etc/openwrt_release') ?? '', 'DISTRIB_DESCRIPTION') ??
    parseAssignment(read('/etc/os-release') ?? '', 'PRETTY_NAME')
  );
}

/** 16 bytes that are different after every boot of the machine; undefined where the kernel does not say. */
export function machineBootId(read: ReadText): Buffer | undefined {
  return parseUuid(read('/proc/sys/kernel/random/boot_id') ?? '');
}

/** What does not change while the machine runs. */
export interface Machine {
  readonly model: string | undefined;
  readonly board: string | undefined;
  readonly release: string | undefined;
  readonly bootId: Buffer | undefined;
}

/** Reads what does not change while the machine runs. */
export function readMachine(read: ReadText): Machine {
  return {
    model: machineModel(read),
    board: machineBoard(read),
    release: machineRelease(read),
    bootId: machineBootId(read),
  };
}
