import test from 'ava';
import { EntremiseError } from '../base/errors.ts';
import { generateSigningKey, type SigningKey } from '../base/keys.ts';
import { AdmissionDesk } from './admission.ts';
import { DocumentsLab, type Invited } from './testing/documents-lab.ts';

const remote = '192.0.2.7:4711';

function deskOf(lab: DocumentsLab): AdmissionDesk {
  return new AdmissionDesk(lab.documents, lab.clock);
}

/** What a link of that key is answered. */
async function knock(
  lab: DocumentsLab,
  key: SigningKey,
  options: { role?: 'mediator' | 'terminal'; invited?: Invited; desk?: AdmissionDesk; from?: string } = {},
) {
  const { role = 'terminal', invited, desk = deskOf(lab), from = remote } = options;
  const hello = { versions: [1], role, key: key.publicKey, instance: Buffer.alloc(16), linkNo: 1 };
  const enrolment = await invited?.enrolmentFor(key);
  return desk.admit({ ...hello, capabilities: [], software: '', enrolment }, from);
}

test('P6.1: an enrolled key is given the trust statement, its own statement, and a terminal its valid grants', async t => {
  const lab = await DocumentsLab.make(t);
  const key = generateSigningKey();
  const statement = await lab.member(key, { name: 'laptop' });
  await lab.push(statement);
  const grant = await lab.grant(key);
  await lab.push(grant);
  await lab.push(await lab.grant(generateSigningKey()));
  t.deepEqual(await knock(lab, key), {
    admitted: true,
    name: 'laptop',
    statementSeq: 1,
    documents: [lab.documents.trust().text, statement, grant],
  });
});

test('P6.1: a stranger, a revoked key and a key in another role are sent away, each with its own code', async t => {
  const lab = await DocumentsLab.make(t);
  const [stranger, revoked, gateway] = [generateSigningKey(), generateSigningKey(), generateSigningKey()];
  await lab.push(await lab.member(revoked, { name: 'stolen' }));
  await lab.push(await lab.member(gateway, { name: 'gw-1', role: 'mediator' }));
  await lab.push(await lab.trust({ revokedKeys: [revoked.text] }));
  const check = async () => {
    t.like(await knock(lab, stranger), { admitted: false, code: 'not-enrolled' });
    t.like(await knock(lab, revoked), { admitted: false, code: 'key-revoked' });
    const disguised = await knock(lab, gateway, { role: 'terminal' });
    t.like(disguised, { admitted: false, code: 'not-enrolled', message: 'gw-1 is enrolled as a mediator.' });
  };
  await check();
  await lab.restart();
  await check();
});

test('a revoked key cannot enrol again with a fresh code', async t => {
  const lab = await DocumentsLab.make(t);
  const key = generateSigningKey();
  await lab.push(await lab.trust({ revokedKeys: [key.text] }));
  const invited = await lab.invite({ name: 'laptop' });
  t.like(await knock(lab, key, { invited }), { admitted: false, code: 'key-revoked' });
  t.is(lab.store.invitation(invited.key.text)?.usedBy, undefined);
});

test('a key that is revoked in the very moment of its enrolment is not let in', async t => {
  const lab = await DocumentsLab.make(t);
  const key = generateSigningKey();
  const invited = await lab.invite({ name: 'laptop' });
  const revoking = await lab.trust({ revokedKeys: [key.text] });
  const [answer] = await Promise.all([knock(lab, key, { invited }), lab.push(revoking)]);
  if (answer.admitted) t.is(lab.documents.refusalOf(key.text, 'terminal'), 'key-revoked');
  else t.is(answer.code, 'key-revoked');
});

test('what strangers are told names no file of the server', async t => {
  const lab = await DocumentsLab.make(t);
  const invited = await lab.invite({ name: 'laptop' });
  const desk = new AdmissionDesk(
    Object.assign(Object.create(lab.documents), {
      enrol: () => {
        throw new EntremiseError('audit-unavailable', { message: '/var/lib/entremise/audit.jsonl is full' });
      },
    }),
    lab.clock,
  );
  await t.throwsAsync(knock(lab, generateSigningKey(), { invited, desk }), { code: 'audit-unavailable' });
});

test('P6.5: enrolments are limited by source: an address, or the /56 of an IPv6 one', async t => {
  const lab = await DocumentsLab.make(t);
  const invited = await lab.invite({ name: 'x' }, { unknown: true });
  const desk = deskOf(lab);
  const tryFrom = async (from: string) => {
    const answer = await knock(lab, generateSigningKey(), { invited, desk, from });
    return answer.admitted ? undefined : answer.code;
  };
  for (let count = 0; count < 10; count++)
    t.is(await tryFrom(`[2001:db8:1:2${count}::${count}]:${5000 + count}`), 'code-invalid');
  t.is(await tryFrom('[2001:db8:1:2f::1]:1'), 'limit');
  t.is(await tryFrom('[2001:db8:1:100::1]:1'), 'code-invalid');
  t.is(await tryFrom('192.0.2.1:1'), 'code-invalid');
  lab.clock.advance(6_000);
  t.is(await tryFrom('[2001:db8:1:2f::1]:1'), 'code-invalid');
  t.is(await tryFrom('[2001:db8:1:2f::1]:1'), 'limit');
});

test('P6.5: who is enrolled is not limited by the tries of others behind the same address', async t => {
  const lab = await DocumentsLab.make(t);
  const invited = await lab.invite({ name: 'x' }, { unknown: true });
  const key = generateSigningKey();
  await lab.push(await lab.member(key, { name: 'laptop' }));
  const desk = deskOf(lab);
  for (let count = 0; count < 15; count++) await knock(lab, generateSigningKey(), { invited, desk });
  t.like(await knock(lab, key, { desk }), { admitted: true });
});

test('of sources that try, the last 4096 are remembered, so that none of them fills the memory', async t => {
  const lab = await DocumentsLab.make(t);
  const key = generateSigningKey();
  const enrolment = 'nonsense';
  const hello = {
    versions: [1],
    role: 'terminal',
    key: key.publicKey,
    instance: Buffer.alloc(16),
    linkNo: 1,
  } as const;
  const desk = deskOf(lab);
  const tryFrom = (from: string) =>
    desk.admit({ ...hello, capabilities: [], software: '', enrolment }, `${from}:1`);
  for (let count = 0; count < 10; count++) await tryFrom('192.0.2.1');
  t.like(await tryFrom('192.0.2.1'), { code: 'limit' });
  for (let count = 0; count < 4_096; count++) await tryFrom(`10.0.${count >> 8}.${count & 255}`);
  t.like(await tryFrom('192.0.2.1'), { code: 'code-invalid' });
});
