import type { ExecutionContext } from 'ava';
import { blockUdp, until } from 'netns-test-helpers';
import { mediatorName, servicePort } from '../site.ts';
import { type Stage, setStage } from './support/stage.ts';
import type { Json } from './support/verbs.ts';

/** What doctor tells of UDP: whether it passes, and what NATs that keep numbers do to it; of others: keepalive.test.ts. */

const claim = setStage({ name: 'scnat', home: { ports: 'port-preserving' } });

/** What `entremise doctor` found, once the mediator has told of its NATs what `holds`. */
async function doctor(t: ExecutionContext, stage: Stage, holds: (nat: string) => boolean): Promise<Json[]> {
  let found: Json[] = [];
  const natOf = (who: string) => String(found.find(one => isNatOf(one, who))?.detail ?? '');
  await until(
    async () => {
      const { stdout } = await stage.site.terminal('doctor', '--json');
      found = JSON.parse(stdout.trim().split('\n').at(-1) ?? '[]') as Json[];
      return holds(natOf(mediatorName));
    },
    { what: 'doctor to tell of the NATs', deadlineMs: 60_000, explain: () => JSON.stringify(found) },
  );
  t.log(natOf(mediatorName));
  return found;
}

const isNatOf = ({ check, detail }: Json, who: string) =>
  check === 'nat' && String(detail).startsWith(`${who}: `);

claim(
  'P8.5: NATs that keep numbers are told from none at all, and that filters cannot be told is said',
  async (t, stage) => {
    const found = await doctor(t, stage, nat => nat.includes('keeps every number'));
    const details = found.map(({ detail }) => String(detail));
    t.true(details.includes('this terminal: none on the way of UDP'));
    t.true(details.some(detail => /^this terminal: UDP passes/.test(detail)));
    const nat = found.find(one => isNatOf(one, mediatorName));
    t.regex(String(nat?.detail), /filtering: one server, one number, cannot tell$/);
    t.like(nat?.path as Json, { translation: 'address', publicAddresses: 1 });
  },
);

claim('where UDP does not pass doctor says so, with what to do, and that is no fault', async (t, stage) => {
  const rules = await stage.home.terminal.apply(blockUdp({ how: 'drop', ports: [servicePort] }));
  t.teardown(() => rules.remove());
  const { code, stdout } = await stage.site.terminal('doctor', '--json');
  const found = JSON.parse(stdout.trim().split('\n').at(-1) ?? '[]') as Json[];
  const udp = found.find(({ check }) => check === 'udp');
  t.is(code, 0);
  t.like(udp, { good: true, detail: 'this terminal: UDP does not pass' });
  t.regex(String(udp?.advice), /over the TCP channel meanwhile/);
});
