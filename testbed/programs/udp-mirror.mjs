// A UDP service that answers with where a datagram came from: "TEXT from ADDRESS NUMBER". Arguments: address, number.
import { createSocket } from 'node:dgram';
import process from 'node:process';

const [address = '0.0.0.0', number = '7'] = process.argv.slice(2);
const socket = createSocket('udp4');
socket.on('message', (bytes, from) =>
  socket.send(`${bytes} from ${from.address} ${from.port}`, from.port, from.address),
);
socket.bind(Number(number), address, () => console.log(`{"mirror":"${address} ${number}"}`));
