// UDP clients that ask a service, each from a socket of its own: one round a line on stdin, in which who is not answered
// asks again each half second. Arguments: address, number, how many, the first local number (0: any). Says {round, client,
// reply} for the first answer to each in a round.
import { createSocket } from 'node:dgram';
import process from 'node:process';
import { createInterface } from 'node:readline';

const [address = '127.0.0.1', number = '7', count = '1', first = '0'] = process.argv.slice(2);
let round = 0;
const unanswered = new Set();
const sockets = Array.from({ length: Number(count) }, (_, client) => {
  const socket = createSocket('udp4');
  socket.on('message', bytes => {
    const reply = String(bytes);
    if (!reply.startsWith(`${round}.`) || !unanswered.delete(client)) return;
    console.log(JSON.stringify({ round, client, reply }));
  });
  socket.bind(first === '0' ? 0 : Number(first) + client);
  return socket;
});
function ask() {
  for (const client of unanswered) sockets[client].send(`${round}.${client}`, Number(number), address);
}
createInterface({ input: process.stdin }).on('line', () => {
  round++;
  for (const client of sockets.keys()) unanswered.add(client);
  ask();
});
setInterval(ask, 500);
console.log('{"ready":true}');
