import test from 'ava';
import { type PortAnswer, portAnswers, wireStateOf } from './port-states.ts';

const conditions = Object.entries(portAnswers);

test('P5.7: every refusal has a code of the catalogue and one whole sentence that says what to do', t => {
  for (const [condition, answers] of conditions) {
    for (const [verb, answer] of Object.entries(answers) as [string, PortAnswer][]) {
      if (answer === 'run') continue;
      t.regex(answer.message, /^[A-Z].*\.$/, `${condition}, ${verb}`);
      t.true(['wrong-state', 'no-such-port', 'unsupported'].includes(answer.code), `${condition}, ${verb}`);
    }
  }
});

test('P5.7: only an opened TCP port connects or listens; whatever is open can be closed; an opened UDP port redirects, a redirected one back', t => {
  for (const [condition, answers] of conditions) {
    const { connect, listen, close, redirect } = answers;
    const isOpened = condition === 'tcp opened';
    t.is(connect === 'run', isOpened, condition);
    t.is(listen === 'run', isOpened, condition);
    t.is(close === 'run', !condition.endsWith('closed'), condition);
    t.is(redirect === 'run', condition === 'udp opened', condition);
    t.is(answers['redirect back'] === 'run', condition === 'udp redirected', condition);
  }
});

test('QUERY counts what is under way as done', t => {
  t.is(wireStateOf('connecting'), 'client');
  t.is(wireStateOf('starting'), 'server');
  t.is(wireStateOf('draining'), 'closed');
});
