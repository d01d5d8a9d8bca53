// Datagrams of many sizes through a UDP port of a mediator, each to an echo service and back.
// Arguments: directory of the terminal, mediator, address of the mediator, address and number of the service, sizes.
import { randomBytes } from 'node:crypto';
import process from 'node:process';
import { connectTerminal } from 'entremise';

const [directory = '', mediator = '', address, host = '', number = '', ...sizes] = process.argv.slice(2);
const terminal = await connectTerminal({ directory });
await terminal.waitOnline(mediator);
const attachment = await terminal.attach(mediator);
const socket = await attachment.createUdpSocket({ address });

function ask(question) {
  return new Promise(resolve => {
    const timer = setTimeout(() => answered(undefined), 2_000);
    const answered = (message, remote) => {
      clearTimeout(timer);
      socket.off('message', answered);
      resolve(message === undefined ? undefined : { message, remote });
    };
    socket.on('message', answered);
    socket.send(question, Number(number), host);
  });
}

for (const size of sizes.map(Number)) {
  const question = randomBytes(size);
  let answer;
  // Datagrams may be lost, on any network.
  for (let tries = 0; tries < 3 && answer === undefined; tries++) answer = await ask(question);
  const back = answer?.message.equals(question) ?? false;
  console.log(JSON.stringify({ size, back, from: answer?.remote.address, port: answer?.remote.port }));
}
socket.send(Buffer.alloc(65_508), Number(number), host, error => {
  console.log(JSON.stringify({ size: 65_508, code: error?.code }));
  terminal.close();
});
