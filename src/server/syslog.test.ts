import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import test from 'ava';
import { sendToSyslog } from './syslog.ts';

const time = new Date(Date.UTC(2026, 10, 22));

test('a line goes by UDP as RFC 5424 has it', async t => {
  const server = createSocket('udp4');
  t.teardown(() => server.close());
  server.bind(0, '127.0.0.1');
  await once(server, 'listening');
  const heard = once(server, 'message');
  const target = { server: { host: '127.0.0.1', number: server.address().port } };
  await sendToSyslog(target, 'audit head 7 abc', time);
  const [line] = await heard;
  t.regex(
    String(line),
    /^<109>1 2026-11-22T00:00:00\.000Z \S+ entremise-server \d+ audit-head - audit head 7 abc$/,
  );
});

/** Node has no datagram sockets in the file system. */
const listener = `
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
print("ready", flush=True)
print(s.recv(2000).decode(), flush=True)
`;

test("a line goes to the machine's own socket as its daemons take it", async t => {
  const folder = mkdtempSync(join(tmpdir(), 'entremise-syslog-'));
  const path = join(folder, 'log');
  const daemon = spawn('python3', ['-c', listener, path]);
  t.teardown(() => {
    daemon.kill();
    rmSync(folder, { recursive: true });
  });
  const lines = createInterface({ input: daemon.stdout });
  await once(lines, 'line');
  const heard = once(lines, 'line');
  await sendToSyslog({ socket: path }, 'audit head 7 abc', time);
  t.regex(String((await heard)[0]), /entremise-server.*audit head 7 abc/);
});

test('where there is no socket it fails', async t => {
  await t.throwsAsync(sendToSyslog({ socket: '/nowhere/log' }, 'audit head 7 abc', time));
});
