// The least that a program of Node can do with connections: accepts, connects and passes bytes and ends on.
// Arguments: where to listen (address, number), where to (address, number).
import { connect, createServer } from 'node:net';
import process from 'node:process';

const [address, number, to, toNumber] = process.argv.slice(2);
const manners = { allowHalfOpen: true, noDelay: true };

createServer(manners, socket => {
  const next = connect({ host: to, port: Number(toNumber), ...manners });
  for (const end of [socket, next]) end.on('error', () => {});
  socket.pipe(next).pipe(socket);
}).listen({ host: address, port: Number(number), backlog: 1024 });
