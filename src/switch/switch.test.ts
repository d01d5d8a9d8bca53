import test from 'ava';
import { errorNumber } from '../base/errors.ts';
import { denied } from '../policy/verdict.ts';
import { record } from '../session/testing/attached-pair.ts';
import type { Command } from '../wire/messages/command.ts';
import { frameFlag, frameType } from '../wire/spec.ts';
import { Lab, pump, settle, until } from './testing/lab.ts';
import { streamBetween } from './testing/lab-member.ts';

const open: Command = { id: 7, verb: 'open', protocol: 'tcp', number: 0, choice: 'any' };

function pattern(length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  for (let at = 0; at < length; at++) bytes[at] = (at * 31 + (at >> 8) * 17) & 0xff;
  return bytes;
}

test('streams cross the switch whole, both ways at once, and end cleanly', async t => {
  const lab = new Lab();
  const { atTerminal, atMediator } = await lab.attached();
  const streams = streamBetween(atTerminal, atMediator);
  const received = { terminal: record(streams.terminal), mediator: record(streams.mediator) };
  const [there, back] = [pattern(3_000_000), pattern(2_000_001)];
  await Promise.all([pump(streams.terminal, there), pump(streams.mediator, back)]);
  await until(() => received.mediator.told.includes('fin'), 'FIN reaches the mediator');
  await until(() => received.terminal.told.includes('fin'), 'FIN reaches the terminal');
  t.true(received.mediator.bytes().equals(there));
  t.true(received.terminal.bytes().equals(back));
  t.is(lab.switch.status().queuedBytes, 0);
});

test('P1.2: each member sees labels of its own link only, odd ones of its own making and even ones of the server', async t => {
  const lab = new Lab();
  const mediator = await lab.member({ role: 'mediator' });
  for (let count = 0; count < 3; count++) {
    const terminal = await lab.member({ role: 'terminal' });
    const { atTerminal, atMediator } = await lab.attach(terminal, mediator);
    t.is(atTerminal.label, 1);
    t.is(atMediator.label, 2 + 2 * count);
    t.true(atTerminal.frames.every(({ label }) => label === atTerminal.label));
    t.true(atMediator.frames.every(({ label }) => label === atMediator.label));
  }
});

test('P6.4: inner and signature pass byte for byte, and the first credit is 256 KiB each way', async t => {
  const lab = new Lab();
  const { mediator, terminal, atMediator } = await lab.attached();
  const [asked] = mediator.attaches;
  t.is(asked?.credit, 256 * 1024);
  t.is(asked?.label, atMediator.label);
  // The ends agree on T only when both halves of it came unchanged: an open attachment proves that.
  t.true(atMediator.attachment?.open);
  t.true(terminal.ends[0]?.attachment?.open);
});

test('P5.8: a command is audited before the mediator has it, with who, where, grant, seq and what', async t => {
  const lab = new Lab();
  const { terminal, mediator, atTerminal, atMediator } = await lab.attached();
  const hadBefore: number[] = [];
  lab.onAudit = () =>
    hadBefore.push(atMediator.frames.filter(({ type }) => type === frameType.command).length);
  atTerminal.attachment?.sendCommand(open);
  await until(() => atMediator.commands.length === 1, 'the mediator has the command');
  t.deepEqual(hadBefore, [0]);
  const { action, fields } = lab.audit[1] ?? {};
  t.is(action, 'command');
  t.like(fields, { terminal: terminal.key.text, mediator: mediator.key.text, grant: 'grant-0001', seq: 1 });
  t.like(fields, { allowed: true, command: open });
  t.is(atMediator.commands[0]?.denied, undefined);
});

test('P5.8: a refused command goes on with DENIED and its reason, and its MAC still holds', async t => {
  const lab = new Lab();
  lab.permit = { ...lab.permit, authorise: () => denied('grant', 'commands', 'contain "open"') };
  const { atTerminal, atMediator } = await lab.attached();
  atTerminal.attachment?.sendCommand(open);
  await until(() => atMediator.commands.length === 1, 'the mediator has the command');
  t.is(atMediator.commands[0]?.denied, 'not-permitted');
  const frame = atMediator.frames.find(({ type }) => type === frameType.command);
  t.is(frame?.flags, frameFlag.denied);
  t.is(frame?.bytes.at(-1), errorNumber('not-permitted'));
  t.like(lab.audit[1]?.fields, { allowed: false, code: 'not-permitted', by: 'grant' });
  atMediator.attachment?.sendResult({ id: 7, code: 3, by: 'server' });
  await until(() => atTerminal.results.length === 1, 'the mediator answers, not the server');
});

test('P5.8: a command whose audit line cannot be written is refused', async t => {
  const lab = new Lab();
  const { atTerminal, atMediator } = await lab.attached();
  lab.auditFails = true;
  atTerminal.attachment?.sendCommand(open);
  await until(() => atMediator.commands.length === 1, 'the mediator has the command');
  t.is(atMediator.commands[0]?.denied, 'audit-unavailable');
});

test('P5.8: refused commands do not eat or make credit', async t => {
  const lab = new Lab();
  lab.permit = { ...lab.permit, authorise: () => denied('grant', 'commands', 'contain "open"') };
  const { atTerminal, atMediator } = await lab.attached();
  for (let count = 1; count <= 5000; count++) {
    atTerminal.attachment?.sendCommand(open);
    await until(() => atMediator.commands.length === count, 'each command arrives');
    if (count % 100 === 0) lab.clock.advance(50);
  }
  t.is(atTerminal.gone, undefined);
});

test('a command that cannot be read ends the label for both, and no link', async t => {
  const lab = new Lab();
  const { terminal, mediator, atTerminal, atMediator } = await lab.attached();
  terminal.sendRaw(frameType.command, atTerminal.label, 0, Buffer.alloc(40, 0xff));
  await until(() => atTerminal.gone !== undefined && atMediator.gone !== undefined, 'both are told');
  t.is(atTerminal.gone, 'bad-request');
  t.is(atMediator.gone, 'bad-request');
  t.is(atMediator.commands.length, 0);
  t.true(terminal.link.driver.live && mediator.link.driver.live);
  t.is(lab.switch.status().attachments, 0);
});

test('a command of a later version goes on as refused, so that the mediator can answer unsupported', async t => {
  const lab = new Lab();
  const { terminal, atTerminal, atMediator } = await lab.attached();
  const verb99 = Buffer.from('a200070118' + '63', 'hex');
  const body = Buffer.concat([Buffer.of(0, 0, 0, 1), verb99, Buffer.alloc(16)]);
  terminal.sendRaw(frameType.command, atTerminal.label, 0, body);
  await until(() => atMediator.frames.some(({ type }) => type === frameType.command), 'it arrives');
  const frame = atMediator.frames.find(({ type }) => type === frameType.command);
  t.is(frame?.bytes.at(-1), errorNumber('unsupported'));
});

for (const [what, type, stream, flags] of [
  ['DENIED set by the terminal itself', frameType.command, 0, frameFlag.denied],
  ['a COMMAND in parts', frameType.command, 0, frameFlag.more],
  ['a COMMAND on a stream', frameType.command, 3, 0],
  ['a RESULT from a terminal', frameType.result, 0, 0],
  ['DATA on stream 0', frameType.data, 0, 0],
  ['RESET on stream 0', frameType.reset, 0, 0],
  ['RESUME on a stream', frameType.resume, 1, 0],
] as const) {
  test(`${what} ends the label, not the link`, async t => {
    const lab = new Lab();
    const { terminal, atTerminal, atMediator } = await lab.attached();
    terminal.sendRaw(type, atTerminal.label, stream, Buffer.alloc(64), flags);
    await until(() => atTerminal.gone !== undefined, 'the terminal is told');
    await until(() => atMediator.gone !== undefined, 'the mediator is told');
    t.is(atTerminal.gone, 'protocol-error');
    t.is(atMediator.commands.length, 0);
    t.true(terminal.link.driver.live);
  });
}

test('P1.4: types 0x40-0x7f pass unread, in the order of their stream', async t => {
  const lab = new Lab();
  const { terminal, atTerminal, atMediator } = await lab.attached();
  for (let count = 0; count < 50; count++)
    terminal.sendRaw(0x40 + count, atTerminal.label, 9, Buffer.of(count));
  await until(() => atMediator.frames.some(({ type }) => type === 0x40 + 49), 'the last arrives');
  const types = atMediator.frames.map(({ type }) => type).filter(type => type >= 0x40);
  t.deepEqual(
    types,
    Array.from({ length: 50 }, (_, count) => 0x40 + count),
  );
});

test('P3.5: a RESET follows the DATA before it through the switch', async t => {
  const lab = new Lab();
  const { atTerminal, atMediator } = await lab.attached();
  const streams = streamBetween(atTerminal, atMediator);
  const received = record(streams.mediator);
  record(streams.terminal);
  const bytes = pattern(50_000);
  streams.terminal.send(bytes);
  await until(() => received.bytes().length === bytes.length, 'the bytes arrive');
  streams.terminal.send(bytes.subarray(0, 100));
  streams.terminal.abort('aborted');
  await until(() => received.told.length > 0, 'the RESET arrives');
  t.deepEqual(received.told, ['reset aborted']);
  t.true(received.bytes().equals(bytes));
});

test('datagrams of every size cross the switch whole', async t => {
  const lab = new Lab();
  const { atTerminal, atMediator } = await lab.attached();
  for (const length of [0, 1, 1400, 16_372, 40_000, 65_507]) {
    const bytes = pattern(length);
    const datagram = { port: 3, peerAddress: '192.168.1.9', peerNumber: 53, bytes };
    atTerminal.attachment?.sendDatagram(datagram);
    const before = atMediator.datagrams.length;
    await until(() => atMediator.datagrams.length > before, 'the datagram arrives');
    t.deepEqual(atMediator.datagrams.at(-1), datagram);
  }
});

test('P4.3: the loss of either link is told to the other end at once, and resets its streams', async t => {
  for (const lost of ['terminal', 'mediator'] as const) {
    const lab = new Lab();
    const all = await lab.attached();
    const streams = streamBetween(all.atTerminal, all.atMediator);
    const other = lost === 'terminal' ? 'mediator' : 'terminal';
    const told = record(streams[other]).told;
    all[lost].transport.destroy();
    const end = other === 'terminal' ? all.atTerminal : all.atMediator;
    await until(() => end.gone !== undefined, 'the other end is told');
    t.is(end.gone, 'link-lost');
    t.deepEqual(told, ['reset link-lost']);
    t.true(all[other].link.driver.live);
    t.is(lab.switch.status().attachments, 0);
  }
});

test('P1.2: DETACH of either end frees both labels, and what comes late for them is dropped', async t => {
  for (const leaver of ['terminal', 'mediator'] as const) {
    const lab = new Lab();
    const all = await lab.attached();
    const [own, far] =
      leaver === 'terminal' ? [all.atTerminal, all.atMediator] : [all.atMediator, all.atTerminal];
    all[leaver].link.closeLabel(own.label);
    all[leaver].sendRaw(frameType.data, own.label, 1, Buffer.alloc(20));
    await until(() => far.gone !== undefined, 'the far end is told');
    t.is(far.gone, 'detached');
    await settle();
    t.true(all[leaver].link.driver.live);
  }
});

test('P1.2: a frame for a label that never was closes the link', async t => {
  const lab = new Lab();
  const { terminal, atMediator } = await lab.attached();
  terminal.sendRaw(frameType.data, 99, 1, Buffer.alloc(20));
  await until(() => terminal.closed !== undefined, 'the link is closed');
  t.is(terminal.closed?.code, 'protocol-error');
  await until(() => atMediator.gone === 'link-lost', 'the mediator is told');
});

for (const [name, type] of [
  ['CREDIT', frameType.credit],
  ['HELLO', frameType.hello],
  ['0x20 of label 0', 0x20],
  ['0x80', 0x80],
] as const) {
  test(`${name} on a label closes the link`, async t => {
    const lab = new Lab();
    const { terminal, atTerminal } = await lab.attached();
    terminal.sendRaw(type, atTerminal.label, 0, Buffer.alloc(16));
    await until(() => terminal.closed !== undefined, 'the link is closed');
    t.is(terminal.closed?.code, 'unknown-type');
  });
}

test('P6.3: an attachment ends when its grant expires', async t => {
  const lab = new Lab();
  lab.permit = { ...lab.permit, deadlineMs: 60_000 };
  const { atTerminal, atMediator } = await lab.attached();
  await lab.pass(59_900);
  t.is(atTerminal.gone, undefined);
  await lab.pass(200);
  t.is(atTerminal.gone, 'grant-expired');
  t.is(atMediator.gone, 'grant-expired');
});

test('P6.2: revalidate ends what is no longer allowed and nothing else', async t => {
  const lab = new Lab();
  const first = await lab.attached();
  const second = await lab.attached();
  lab.revoked.set(second.terminal.key.text, 'key-revoked');
  lab.switch.revalidate();
  await until(() => second.terminal.closed !== undefined, 'the revoked key loses its link');
  t.is(second.terminal.closed?.code, 'key-revoked');
  await until(() => second.atMediator.gone !== undefined, 'the mediator is told');
  t.is(second.atMediator.gone, 'key-revoked');
  t.is(first.atTerminal.gone, undefined);
  lab.attachmentsEnd = 'grant-revoked';
  lab.switch.revalidate();
  await until(
    () => first.atTerminal.gone !== undefined && first.atMediator.gone !== undefined,
    'both are told',
  );
  t.deepEqual([first.atTerminal.gone, first.atMediator.gone], ['grant-revoked', 'grant-revoked']);
  t.true(first.terminal.link.driver.live);
});
