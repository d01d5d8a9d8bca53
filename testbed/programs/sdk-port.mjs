// A TCP port of a mediator, and every event of it, one JSON object a line.
// Arguments: directory of the terminal, mediator, address of the mediator (`-`: the wildcard), number.
// Lines on stdin: `listen`, `end` (FIN to all connections), `reset` (RST to all), `close` (the port), `stop`.
// A connection is read to its end; its own half ends only when told.
import process from 'node:process';
import { createInterface } from 'node:readline';
import { connectTerminal } from 'entremise';

const [directory = '', mediator = '', address = '-', number = '0'] = process.argv.slice(2);
const say = what => console.log(JSON.stringify(what));
const terminal = await connectTerminal({ directory });
await terminal.waitOnline(mediator);
const attachment = await terminal.attach(mediator);
attachment.on('event', ({ attachment: _attachment, ...event }) => say({ event: event.kind, ...event }));
const where = address === '-' ? {} : { address };
const port = await attachment.open({
  protocol: 'tcp',
  ...where,
  number: Number(number),
  choice: 'mandatory',
});
say({ opened: port.number, id: port.id });

const sockets = new Set();
async function listen() {
  const server = await port.listen();
  server.on('connection', socket => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
    socket.resume();
    say({ accepted: socket.remotePort });
  });
  say({ listens: true });
}

const verbs = {
  listen,
  end: () => {
    for (const socket of sockets) socket.end();
  },
  reset: () => {
    for (const socket of sockets) socket.resetAndDestroy();
  },
  close: async () => {
    await port.close();
    say({ closed: true });
  },
  stop: () => terminal.close(),
};
createInterface({ input: process.stdin }).on('line', line => verbs[line]?.());
