// A UDP service that sends every datagram back. Arguments: address, number.
import { createSocket } from 'node:dgram';
import process from 'node:process';

const [address = '0.0.0.0', number = '7'] = process.argv.slice(2);
const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
socket.on('message', (bytes, from) => socket.send(bytes, from.port, from.address));
socket.bind(Number(number), address, () => console.log(`echo on ${address} ${number}`));
