import test from 'ava';
import { generateSigningKey } from '../base/keys.ts';
import { attached } from '../wire/messages/attach.ts';
import { frameType } from '../wire/spec.ts';
import { Lab, settle, until } from './testing/lab.ts';

test('P6.2: a key that is revoked while it is being admitted gets no link', async t => {
  const lab = new Lab();
  t.teardown(() => lab.end());
  const key = generateSigningKey();
  const { admit } = lab;
  lab.admit = async member => {
    const admission = await admit(member);
    // A trust statement arrives in this very moment: this link is not among those that are looked at.
    lab.revoked.set(key.text, 'key-revoked');
    lab.switch.revalidate();
    return admission;
  };
  const member = lab.connect({ role: 'terminal', key });
  await until(() => member.closed !== undefined, 'the link is closed');
  t.is(member.closed?.code, 'key-revoked');
  t.is(member.welcomed, undefined);
  t.is(lab.switch.status().members, 0);
});

test('P6.2: what is revoked between ATTACH and ATTACHED does not come to life', async t => {
  const lab = new Lab();
  t.teardown(() => lab.end());
  const mediator = await lab.member({ role: 'mediator', mute: true });
  const terminal = await lab.member({ role: 'terminal' });
  const end = terminal.attachTo(mediator.key.publicKey);
  await until(() => mediator.attaches.length === 1, 'the mediator is asked');
  lab.attachmentsEnd = 'grant-revoked';
  lab.switch.revalidate();
  const label = mediator.attaches[0]?.label ?? 0;
  const answer = { label, inner: Buffer.alloc(100), signature: Buffer.alloc(64) };
  mediator.link.driver.send(frameType.attached, attached.toBytes(answer));
  await until(() => end.gone !== undefined || end.refused !== undefined, 'the terminal is told');
  await settle();
  t.is(end.gone ?? end.refused?.code, 'grant-revoked');
  t.is(lab.switch.status().attachments, 0);
});
