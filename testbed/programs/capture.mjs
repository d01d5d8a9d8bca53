// The addon's capture alone: tells what it sees, one JSON object a line.
// Lines on stdin, JSON: {"watch": [interfaces], "targets": [[address, number] ...]} sets both, {"counters": true} asks,
// {"count": true} has sightings counted from then on and not told; {"counts": true} gives the counts, and begins anew.
// {"toggle": [address, number], "times": n} adds a target and takes it away again, n times.
import { readFileSync } from 'node:fs';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { requireAddon } from '../../dist/src/native/addon.js';
import { endpointOf, PacketCapture } from '../../dist/src/native/packet-capture.js';
import { ipFromBytes, ipToBytes } from '../../dist/src/wire/ip.js';

const say = what => console.log(JSON.stringify(what));
const text = key => {
  const { address, number } = endpointOf(key);
  return { address: ipFromBytes(address), number };
};
let names = [];
let counts;
const capture = PacketCapture.start(requireAddon(), (sightings, lost) => {
  if (counts !== undefined) {
    for (const { kind } of sightings) counts[kind]++;
    counts.lost += lost;
    return;
  }
  for (const { kind, from, interfaceIndex, local, peer } of sightings) {
    const where = names.find(name => capture.indexOf(name) === interfaceIndex);
    say({ saw: kind, from, where, local: text(local), peer: text(peer) });
  }
  if (lost > 0) say({ lost });
});
if (typeof capture === 'string') {
  say({ refused: capture });
  process.exit(1);
}

const endpoints = targets => targets.map(([address, number]) => ({ address: ipToBytes(address), number }));
let current = [];

async function toggle(target, times) {
  for (let count = 0; count < times; count++) {
    capture.setTargets(endpoints([...current, target]));
    await new Promise(resolve => setTimeout(resolve, 1));
    capture.setTargets(endpoints(current));
    await new Promise(resolve => setTimeout(resolve, 1));
  }
  say({ toggled: times });
}

createInterface({ input: process.stdin }).on('line', line => {
  const asked = JSON.parse(line);
  if (asked.counters) return say(capture.counters);
  if (asked.count || asked.counts) {
    if (asked.counts) say({ counts });
    counts = { syn: 0, fin: 0, rst: 0, lost: 0 };
    return;
  }
  if (asked.toggle) return toggle(asked.toggle, asked.times);
  names = asked.watch;
  current = asked.targets;
  const refused = capture.watch(names) ?? capture.setTargets(endpoints(current)) ?? null;
  say({ set: refused, threads: readFileSync('/proc/self/status', 'utf8').match(/Threads:\s*(\d+)/)?.[1] });
});
say({ ready: true });
