import test from 'ava';
import { auditHeads } from '../wire/spec.ts';
import { Lab, until } from './testing/lab.ts';

const head = (seq: number) => ({ seq, hash: Buffer.alloc(32, seq), timeMs: 1_772_323_200_000 });

test('P6.10: heads go to the mediators that keep them, the last also on a new link, and to nobody else', async t => {
  const lab = new Lab();
  t.teardown(() => lab.end());
  const capabilities = [auditHeads];
  const keeper = await lab.member({ role: 'mediator', capabilities });
  const older = await lab.member({ role: 'mediator' });
  const terminal = await lab.member({ role: 'terminal', capabilities });
  for (const seq of [1, 2, 2]) lab.switch.auditHeads.tell(head(seq));
  const later = await lab.member({ role: 'mediator', capabilities });
  await until(() => later.heads.length === 1 && keeper.heads.length === 2, 'heads are heard');
  const heard = [keeper, older, terminal, later].map(({ heads }) => heads.map(({ seq }) => seq));
  t.deepEqual(heard, [[1, 2], [], [], [2]]);
  t.true([older, terminal].every(({ link }) => link.driver.live));
});
