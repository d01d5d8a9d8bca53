import test from 'ava';
import { type DecodedPacket, decode, encode, type Question, RECURSION_DESIRED } from 'dns-packet';
import type { ErrorCode } from '../../base/errors.ts';
import type { MediatorAttachment } from '../mediator-attachment.ts';
import { failure } from '../tunnel-error.ts';
import { answerQuery } from './name-server.ts';

/** An attachment as far as a name server uses one. */
function resolving(resolve: (name: string) => readonly string[]): () => Promise<MediatorAttachment> {
  const attachment: Pick<MediatorAttachment, 'resolve'> = { resolve: async name => resolve(name) };
  return () => Promise.resolve(attachment as MediatorAttachment);
}

const known = resolving(name => {
  if (name !== 'printer') throw failure('no-such-name');
  return ['192.168.1.10', 'fd00:1::10', '192.168.1.11'];
});

async function ask(questions: Question[], attachment = known): Promise<DecodedPacket> {
  const query = encode({ type: 'query', id: 4711, flags: RECURSION_DESIRED, questions });
  const answer = await answerQuery(query, attachment);
  if (answer === undefined) throw new Error('no answer');
  return decode(answer);
}

const rcodeOf = ({ flags = 0 }: DecodedPacket) => flags & 0xf;
const addressesOf = ({ answers = [] }: DecodedPacket) =>
  answers.map(answer => ('data' in answer ? `${answer.type} ${String(answer.data)}` : ''));

test('addresses are answered by family, as the mediator names them', async t => {
  const ipv4 = await ask([{ type: 'A', name: 'printer' }]);
  t.deepEqual([ipv4.id, ipv4.type, rcodeOf(ipv4)], [4711, 'response', 0]);
  t.deepEqual(addressesOf(ipv4), ['A 192.168.1.10', 'A 192.168.1.11']);
  t.deepEqual(addressesOf(await ask([{ type: 'AAAA', name: 'printer' }])), ['AAAA fd00:1::10']);
});

test('a name that has no address of that family has none: no failure', async t => {
  const answer = await ask(
    [{ type: 'AAAA', name: 'printer' }],
    resolving(() => ['192.168.1.10']),
  );
  t.deepEqual([rcodeOf(answer), addressesOf(answer)], [0, []]);
});

test('failures are told as DNS tells them', async t => {
  const rows: readonly (readonly [ErrorCode, number])[] = [
    ['no-such-name', 3],
    ['bad-request', 3],
    ['not-permitted', 5],
    ['timed-out', 2],
    ['mediator-offline', 2],
  ];
  for (const [reason, rcode] of rows) {
    const failing = resolving(() => {
      throw failure(reason);
    });
    t.is(rcodeOf(await ask([{ type: 'A', name: 'printer' }], failing)), rcode, reason);
  }
});

test('other records are not known here, which is said', async t => {
  for (const type of ['MX', 'PTR', 'TXT'] as const) t.is(rcodeOf(await ask([{ type, name: 'printer' }])), 4);
  t.is(rcodeOf(await ask([])), 1);
});

test('an answer fits into what every client takes, whatever the name', async t => {
  const label = 'n'.repeat(63);
  const name = [label, label, label, 'n'.repeat(61)].join('.');
  const many = resolving(() =>
    Array.from({ length: 200 }, (_, index) => `fd00::${(index + 1).toString(16)}`),
  );
  const query = encode({ type: 'query', id: 1, questions: [{ type: 'AAAA', name }] });
  const answer = await answerQuery(query, many);
  if (answer === undefined) return t.fail();
  t.true(answer.length <= 512, `${answer.length}`);
  t.is(decode(answer).answers?.length, 8);
});

test('what is no query is not answered', async t => {
  t.is(await answerQuery(Buffer.from('nonsense'), known), undefined);
  t.is(await answerQuery(Buffer.alloc(0), known), undefined);
  const response = encode({ type: 'response', id: 1, questions: [{ type: 'A', name: 'printer' }] });
  t.is(await answerQuery(response, known), undefined);
});
