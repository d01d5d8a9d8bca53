// A server on the gateway that survives its own death: it opens a number, and whoever connects is told its name and kept until
// it ends its half. How connections and attachment end otherwise is printed.
// Arguments: directory of the terminal, mediator, address and number on the gateway, own name, and the id of the attachment of
// the process before, if it is to be adopted.
import process from 'node:process';
import { connectTerminal } from 'entremise';

const [directory = '', mediator = '', address, number, name, adopt] = process.argv.slice(2);
const terminal = await connectTerminal({ directory });
await terminal.waitOnline(mediator);

/** In use until the server knows that the process before is dead. */
async function attach() {
  for (;;) {
    try {
      return await terminal.attach(mediator, { adopt });
    } catch (error) {
      if (error.reason !== 'in-use') throw error;
    }
  }
}

const attachment = await attach();
const adopted = await attachment.adoptedPorts();
const [
  port = await attachment.open({ protocol: 'tcp', address, number: Number(number), choice: 'mandatory' }),
] = adopted;
const server = await port.listen();
server.on('connection', socket => {
  socket.write(name);
  const say = what => console.log(JSON.stringify(what));
  socket.on('error', error => say({ socket: error.reason ?? error.code }));
  socket.once('end', () => socket.end());
});
attachment.on('closed', ({ error }) => console.log(JSON.stringify({ closed: error.reason })));
console.log(JSON.stringify({ id: attachment.peer.id, adopted: adopted.map(each => each.number) }));
