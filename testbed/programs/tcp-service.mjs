// A TCP service for measurements. Arguments: manner, address, number.
//   echo    sends everything back
//   silent  accepts and never reads
//   flood   sends without end, and never reads
import { createServer } from 'node:net';
import process from 'node:process';

const chunk = Buffer.alloc(64 * 1024, 'x');

function flood(socket) {
  while (socket.write(chunk));
  socket.on('drain', () => {
    while (socket.write(chunk));
  });
}

const manners = { echo: socket => socket.pipe(socket), silent: socket => socket.pause(), flood };

const [manner = 'echo', address = '0.0.0.0', number = '7'] = process.argv.slice(2);
const serve = manners[manner];
if (serve === undefined) throw new Error(`manner is one of ${Object.keys(manners).join(', ')}`);
const server = createServer({ pauseOnConnect: manner !== 'echo', allowHalfOpen: true }, socket => {
  socket.on('error', () => {});
  serve(socket);
});
server.listen({ host: address, port: Number(number), backlog: 1024 }, () =>
  console.log(`${manner} on ${address} ${number}`),
);
