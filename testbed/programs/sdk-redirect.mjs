// A redirected UDP port of a mediator and an echo service: asks it every 50 ms, and tells what carries the datagrams.
// Arguments: directory of the terminal, mediator, address of the mediator, address and number of the service; then, if
// they are to be others, how many ms lie between two questions and how many bytes each has, `own` for a channel that no
// other port shares (else `shared`), and how many packets pass under one key of it.
// On stdin: `back` moves the port to the TCP channel, `again` to UDP, `rest` stops asking, `ask` goes on, the end of it
// stops. Prints JSON lines.
import process from 'node:process';
import { createInterface } from 'node:readline';
import { connectTerminal } from 'entremise';
import { pino } from 'pino';

const [directory = '', mediator = '', address, host = '', number = '', ...more] = process.argv.slice(2);
const [everyMs = '50', bytes = '1', whose, rekeyPackets] = more;
const ownChannel = whose === 'own';
const tell = line => console.log(JSON.stringify(line));
const terminal = await connectTerminal({
  directory,
  log: pino({ base: null }, pino.destination({ dest: 2, sync: true })),
  ...(rekeyPackets === undefined ? {} : { rekeyPackets: Number(rekeyPackets) }),
});
await terminal.waitOnline(mediator);
const attachment = await terminal.attach(mediator);
const port = await attachment.open({ protocol: 'udp', address });
const socket = port.createSocket();
let asked = 0;
let answered = 0;
let last = 0;
let disordered = 0;
socket.on('message', answer => {
  const index = Number(answer);
  if (index < last) disordered++;
  last = index;
  answered++;
});
socket.on('channel', channel => tell({ channel }));
// Number() takes no notice of the blanks.
const question = () => String(++asked).padEnd(Number(bytes));
const startAsking = () => setInterval(() => socket.send(question(), Number(number), host), Number(everyMs));
let asking = startAsking();
attachment.on('suspended', () => tell({ suspended: true }));
attachment.on('resumed', () => tell({ resumed: true }));
const counts = () => ({ asked, answered, disordered });
const count = setInterval(() => tell(counts()), 250);
tell({ result: await port.redirect({ ownChannel }) });
for await (const line of createInterface({ input: process.stdin })) {
  if (line === 'back') await port.redirectBack();
  if (line === 'again') tell({ result: await port.redirect({ ownChannel }) });
  if (line === 'rest') clearInterval(asking);
  if (line === 'ask') asking = startAsking();
  tell({ did: line });
}
clearInterval(count);
clearInterval(asking);
await terminal.close();
