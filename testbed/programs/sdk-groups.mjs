// A UDP port of a mediator, from which the same datagram is sent until somebody has heard enough: prints each message that
// comes as a JSON line, and what carries the port's datagrams. Ends with its stdin.
// Arguments: directory of the terminal, mediator, `tcp` or `udp` to carry datagrams, address and number of the port
// (0: any), destination and its number (0: nothing is sent), the datagram in hexadecimal.
import process from 'node:process';
import { connectTerminal } from 'entremise';

const [directory = '', mediator = '', channel, address, number, to = '', toNumber, hex = ''] =
  process.argv.slice(2);
const tell = line => console.log(JSON.stringify(line));
const terminal = await connectTerminal({ directory });
await terminal.waitOnline(mediator);
const attachment = await terminal.attach(mediator);
const choice = number === '0' ? 'any' : 'mandatory';
const wish = { address, number: Number(number), choice };
const port =
  channel === 'udp' ? await attachment.redirect(wish) : await attachment.open({ ...wish, protocol: 'udp' });
const socket = port.createSocket();
socket.on('message', (bytes, { address: from, port: fromNumber }) =>
  tell({ from, port: fromNumber, channel: socket.channel, text: bytes.toString('latin1') }),
);
const send = () => {
  if (toNumber !== '0') socket.send(Buffer.from(hex, 'hex'), Number(toNumber), to);
};
tell({ listening: port.address, number: port.number, channel: port.channel });
const again = setInterval(send, 500);
send();
process.stdin.resume();
process.stdin.once('end', () => {
  clearInterval(again);
  terminal.close();
});
