// Commands at a steady rate: a port is opened and closed again, each command counted and timed.
// Arguments: directory of the terminal, mediator, commands a second. Lines on stdin: `stop`, `totals NUMBER`, `afresh`:
// the times are those of commands asked from then on.
// What is lost with an attachment is counted by its reason, and another attachment made.
import process from 'node:process';
import { createInterface } from 'node:readline';
import { connectTerminal } from 'entremise';

const [directory = '', mediator = '', perSecond = '5'] = process.argv.slice(2);
const terminal = await connectTerminal({ directory });
let answeredMs = [];
let answered = 0;
const failed = {};
let asked = 0;
let attachments = 0;
let attachment;
const underWay = new Set();

const say = what => console.log(JSON.stringify(what));
const rank = share =>
  Math.round([...answeredMs].sort((a, b) => a - b)[Math.floor(answeredMs.length * share)] ?? 0);

function totals() {
  const times = { p50Ms: rank(0.5), p95Ms: rank(0.95), maxMs: rank(0.999_999) };
  return { asked, answered, timed: answeredMs.length, failed, attachments, ...times };
}

async function attach() {
  await terminal.waitOnline(mediator, { signal: AbortSignal.timeout(120_000) });
  attachment = await terminal.attach(mediator);
  attachments += 1;
}

async function command(run) {
  asked += 1;
  const startedAt = performance.now();
  const times = answeredMs;
  try {
    const result = await run();
    answered += 1;
    times.push(performance.now() - startedAt);
    return result;
  } catch (error) {
    const reason = error.reason ?? error.code ?? String(error);
    failed[reason] = (failed[reason] ?? 0) + 1;
    return undefined;
  }
}

async function openAndClose() {
  const port = await command(() => attachment.open({ protocol: 'tcp' }));
  if (port !== undefined) await command(() => port.close());
}

let attaching = false;
async function tick() {
  if (!attachment.closed) {
    const work = openAndClose();
    underWay.add(work);
    await work;
    underWay.delete(work);
  } else if (!attaching) {
    attaching = true;
    await attach().catch(error => say({ attachFailed: String(error) }));
    attaching = false;
  }
}

async function end(timer) {
  clearInterval(timer);
  await Promise.all(underWay);
  const portsLeft = attachment.closed ? undefined : (await attachment.ports()).length;
  say({ ended: true, ...totals(), portsLeft });
  await terminal.close();
}

await attach();
const timer = setInterval(tick, 2_000 / Number(perSecond));
say({ attached: true });
createInterface({ input: process.stdin }).on('line', line => {
  if (line === 'stop') void end(timer);
  else if (line === 'afresh') answeredMs = [];
  else say({ number: Number(line.split(' ')[1]), ...totals() });
});
