// A UDP port of a mediator that is opened and not redirected: its datagrams come by the TCP channel. What comes is sent to
// 127.0.0.1. Arguments: directory of the terminal, mediator, address of the mediator, local number. Prints the port's number.
import { createSocket } from 'node:dgram';
import process from 'node:process';
import { connectTerminal } from 'entremise';

const [directory = '', mediator = '', address, local = ''] = process.argv.slice(2);
const terminal = await connectTerminal({ directory });
await terminal.waitOnline(mediator);
const attachment = await terminal.attach(mediator);
const port = await attachment.createUdpSocket({ address });
const out = createSocket('udp4');
port.on('message', bytes => out.send(bytes, Number(local), '127.0.0.1'));
console.log(JSON.stringify({ number: port.address().port }));
