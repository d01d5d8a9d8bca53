import { once } from 'node:events';
import tls from 'node:tls';
import test from 'ava';
import { requireAddon } from './addon.ts';
import { fdOf } from './fd-of.ts';
import { accept, pair } from './test-sockets.ts';

const native = requireAddon();

test('connected and accepted sockets have an fd of a TCP connection, closed ones have none', async t => {
  for (const end of ['connected', 'accepted'] as const) {
    const { near, device } = await pair(end);
    const fd = fdOf(near);
    t.true(fd !== undefined && typeof native.tcpInfo(fd) === 'object');
    near.destroy();
    t.is(fdOf(near), undefined);
    device.destroy();
  }
});

test("a TLS socket's fd is that of its TCP connection, at both ends", async t => {
  // A pre-shared key spares the test a certificate.
  const psk = { psk: Buffer.alloc(32, 7), identity: 'test' };
  const suite = { ciphers: 'PSK-AES128-GCM-SHA256', maxVersion: 'TLSv1.2' } as const;
  const server = tls.createServer({ ...suite, pskCallback: () => psk.psk });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') return t.fail();
  const secured = once(server, 'secureConnection');
  const tcp = accept(server);
  const checkServerIdentity = () => undefined;
  const client = tls.connect({ port: address.port, ...suite, pskCallback: () => psk, checkServerIdentity });
  const [[accepted]] = await Promise.all([secured, tcp, once(client, 'secureConnect')]);
  for (const socket of [client, accepted]) {
    const fd = fdOf(socket) ?? -1;
    const info = native.tcpInfo(fd);
    t.true(typeof info !== 'string' && info.bytesReceived > 0);
    t.is(native.setNotSentLowat(fd, 16_384), undefined);
    socket.destroy();
  }
  server.close();
});
