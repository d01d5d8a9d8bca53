import { cpus, loadavg, release, totalmem } from 'node:os';
import process from 'node:process';
import { type Machine, rounded } from './report.ts';

/** This machine, now. */
export function thisMachine(): Machine {
  const processors = cpus();
  return {
    cpu: processors[0]?.model.trim() ?? 'unknown',
    cores: processors.length,
    memoryMb: Math.round(totalmem() / 2 ** 20),
    kernel: release(),
    node: process.versions.node,
    loadBefore: rounded(loadavg()[0] ?? 0),
  };
}
