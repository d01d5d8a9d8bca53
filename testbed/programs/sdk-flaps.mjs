// A terminal whose link is cut again and again while streams and commands go on.
// Arguments: directory, mediator, host:number of the device for the forward, address and number of the mediator to
// expose, host:number behind them, number that links go to, by how much this terminal's short waits are shortened, so that the
// next try comes soon.
// Lines on stdin: `cut N ID` cuts the link N times, each time until the attachment is back, a port opened and closed meanwhile;
// `expect ID` tells the next time that it is back; `stop`.
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { AttachmentKeeper, connectTerminal, exposeTcp, forwardTcp } from 'entremise';

const [directory, name, device, exposedAddress, exposedNumber, behind, linkNumber, divisor] =
  process.argv.slice(2);
const say = what => console.log(JSON.stringify(what));
const endpoint = text => ({ host: text.split(':')[0], port: Number(text.split(':')[1]) });

// Between two tries there are 4 s at the most; what waits longer is a time-out.
const longestShortenedMs = 5_000;
const clock = {
  now: () => performance.now(),
  wallTimeMs: () => Date.now(),
  after(delayMs, run) {
    const waitMs = delayMs > longestShortenedMs ? delayMs : delayMs / Number(divisor);
    const timer = setTimeout(run, Math.ceil(waitMs) + 1).unref();
    return () => clearTimeout(timer);
  },
};
const terminal = await connectTerminal({ directory, clock });
const source = new AttachmentKeeper(terminal, name);
let ended = 0;
source.on('status', ({ state, error }) => {
  if (state !== 'ended') return;
  ended += 1;
  say({ attachmentEnded: String(error) });
});
const attachment = await source.attached(AbortSignal.timeout(60_000));
const forward = await forwardTcp({
  source,
  listen: { host: '127.0.0.1', port: 0 },
  target: endpoint(device),
});
const listen = { address: exposedAddress, port: Number(exposedNumber) };
const exposed = exposeTcp({ source, listen, target: endpoint(behind) });
await once(exposed, 'listening');
// What is held before the first cut is held after the last.
const portsBefore = (await attachment.ports()).length;
say({ port: forward.address().port });

const run = promisify(execFile);
const kill = [
  '--kill',
  '--tcp',
  '--numeric',
  '--no-header',
  'state',
  'connected',
  `( dport = :${linkNumber} )`,
];

async function cutOnce() {
  const back = once(attachment, 'resumed', { signal: AbortSignal.timeout(60_000) });
  const port = attachment.open({ protocol: 'tcp' });
  await run('ss', kill);
  await back;
  await (await port).close();
}

async function cut(times, id) {
  for (let done = 0; done < times; done++) await cutOnce();
  const listeners = [terminal, source, attachment].flatMap(each =>
    each.eventNames().map(event => each.listenerCount(event)),
  );
  say({ id, listeners: listeners.reduce((sum, count) => sum + count, 0) });
}

async function stop() {
  const portsLeft = (await attachment.ports()).length - portsBefore;
  await forward.close();
  await exposed.close();
  source.close();
  await terminal.close();
  say({ stopped: true, portsLeft, ended });
}

createInterface({ input: process.stdin }).on('line', line => {
  const [verb, ...numbers] = line.split(' ');
  const [first, second] = numbers.map(Number);
  if (verb === 'cut') void cut(first, second);
  else if (verb === 'expect') void once(attachment, 'resumed').then(() => say({ id: first }));
  else void stop();
});
