// Node's own http.Server, fed by the SDK from a port of a mediator.
// Arguments: directory of the terminal, mediator, address, number.
import http from 'node:http';
import process from 'node:process';
import { connectTerminal } from 'entremise';

const [directory = '', mediator = '', address = '', number = ''] = process.argv.slice(2);
const terminal = await connectTerminal({ directory });
await terminal.waitOnline(mediator);
const attachment = await terminal.attach(mediator);
const web = http.createServer((request, response) => {
  const { remoteAddress } = request.socket;
  if (request.method === 'POST') request.pipe(response);
  else response.end(`${request.url} for ${remoteAddress}\n`);
});
const listener = await attachment.listen({ address, port: Number(number), allowHalfOpen: true });
listener.on('connection', socket => web.emit('connection', socket));
web.emit('listening');
console.log(`listens on ${listener.address().address} ${listener.address().port}`);
process.once('SIGTERM', () => {
  web.closeAllConnections();
  terminal.close();
});
