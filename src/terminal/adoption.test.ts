import { once } from 'node:events';
import net from 'node:net';
import test from 'ava';
import { AttachmentKeeper } from './attachment-keeper.ts';
import { heldLab } from './testing/held-lab.ts';
import { lab } from './testing/lab.ts';

/** How a terminal asks for what a process before it has left behind (P4.6); what the mediator does: src/mediator/adoption.test.ts. */

const id = '00112233445566778899aabbccddeeff';
const host = '127.0.0.1';

test('P4.6: attach with `adopt` asks for that attachment, under which it goes on', async t => {
  const { terminal, server } = await lab(t);
  const attachment = await terminal.attach('gw-1', { adopt: id });
  t.is(attachment.peer.id, id);
  t.deepEqual(
    server.attaches.map(({ attachmentId }) => Buffer.from(attachmentId).toString('hex')),
    [id],
  );
});

test('what is no id of an attachment is not asked for', async t => {
  const { terminal, server } = await lab(t);
  for (const adopt of ['', id.slice(1), `${id}00`, id.toUpperCase()])
    await t.throwsAsync(terminal.attach('gw-1', { adopt }), { code: 'bad-request' });
  t.is(server.attaches.length, 0);
});

test('P4.6: an adopted port listens again, and is closed like one that this process has opened', async t => {
  const { attachment } = await heldLab(t);
  const opened = await attachment.open({ protocol: 'tcp', address: host });
  const [port, ...others] = await attachment.adoptedPorts();
  t.deepEqual(others, []);
  t.like(port, { id: opened.id, protocol: 'tcp', address: host, number: opened.number, state: 'opened' });
  const server = await port?.listen();
  server?.on('connection', socket => socket.end('served'));
  const [piece] = await once(net.connect(opened.number, host), 'data');
  t.is(String(piece), 'served');
  await port?.close();
  t.deepEqual(await attachment.ports(), []);
});

test('a keeper adopts once: what it had itself and lost for good is begun anew', async t => {
  const { terminal, server } = await lab(t);
  const keeper = new AttachmentKeeper(terminal, 'gw-1', { adopt: id });
  t.teardown(() => keeper.close());
  const [first] = await once(keeper, 'attached');
  t.is(first.peer.id, id);
  server.detach('terminal-gone');
  const [second] = await once(keeper, 'attached');
  t.not(second.peer.id, id);
});

test('a keeper with an id has that for each attachment, prepared before anybody has it; while it is in use, any', async t => {
  const { terminal, server } = await lab(t);
  const prepared: string[] = [];
  const keeper = new AttachmentKeeper(terminal, 'gw-1', {
    id,
    forever: true,
    prepare: async ({ peer }) => void prepared.push(peer.id),
  });
  t.teardown(() => keeper.close());
  const [first] = await once(keeper, 'attached');
  server.detach('terminal-gone');
  const [second] = await once(keeper, 'attached');
  t.deepEqual([first.peer.id, second.peer.id, ...prepared], [id, id, id, id]);
  server.refuseAttach = 'in-use';
  keeper.on('status', ({ state }) => {
    if (state === 'retrying') server.refuseAttach = undefined;
  });
  server.detach('terminal-gone');
  const [third] = await once(keeper, 'attached');
  t.not(third.peer.id, id);
});

test('what prepares an attachment and fails ends it, and another is made', async t => {
  const { terminal } = await lab(t);
  let tries = 0;
  const prepare = async () => {
    if (++tries === 1) throw new Error('not yet');
  };
  const keeper = new AttachmentKeeper(terminal, 'gw-1', { forever: true, prepare });
  t.teardown(() => keeper.close());
  await once(keeper, 'attached');
  t.is(tries, 2);
});
