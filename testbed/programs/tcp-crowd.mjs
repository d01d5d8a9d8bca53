// Opens many connections to one service and keeps them. Arguments: manner, address, number, how many.
//   chat    each sends 1 KiB and reads 1 KiB back, then is quiet
//   push    each sends without end
//   ignore  each never reads
// Writes "ready" when all are open, have chatted, or have pushed as much as they could; ends with 1 when one is lost.
import { once } from 'node:events';
import { connect } from 'node:net';
import process from 'node:process';

const [manner = 'chat', address = '127.0.0.1', number = '7', count = '1'] = process.argv.slice(2);
const message = Buffer.alloc(1024, 'm');
const chunk = Buffer.alloc(64 * 1024, 'x');

async function chat(socket) {
  let bytes = 0;
  const answered = new Promise(resolve => {
    socket.on('data', piece => {
      bytes += piece.length;
      if (bytes >= message.length) resolve();
    });
  });
  socket.write(message);
  await answered;
}

async function push(socket) {
  const fill = () => {
    while (socket.write(chunk));
  };
  socket.on('drain', fill);
  fill();
}

async function ignore(socket) {
  socket.pause();
}

const manners = { chat, push, ignore };
const behave = manners[manner];
if (behave === undefined) throw new Error(`manner is one of ${Object.keys(manners).join(', ')}`);

function lost(why) {
  console.error(`a connection was lost: ${why}`);
  process.exit(1);
}

async function open() {
  const socket = connect({ host: address, port: Number(number) });
  socket.on('error', error => lost(error.message));
  socket.on('close', () => lost('closed'));
  await once(socket, 'connect');
  await behave(socket);
}

// Ten at a time: a crowd that knocks at once measures backlogs, not streams.
let left = Number(count);
const opener = async () => {
  while (left-- > 0) await open();
};
await Promise.all(Array.from({ length: 10 }, opener));
console.log('ready');
