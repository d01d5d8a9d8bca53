import { type TestMember, type TestOperator, until } from './test-operator.ts';

/** A mediator labelled `lab` and a terminal with a grant for it, attached through the server. */
export async function attachedEnds(made: TestOperator) {
  const mediator = await made.enrol({ role: 'mediator', name: 'gw-1', labels: ['lab'] });
  const terminal = await made.enrol({ role: 'terminal', name: 'laptop' });
  const grant = await made.grant(terminal.key.text);
  return { mediator, terminal, grant, ...(await attachEnds(terminal, mediator, grant)) };
}

/** Attaches a terminal to a mediator. */
export async function attachEnds(terminal: TestMember, mediator: TestMember, grant: string) {
  const before = mediator.ends.length;
  const atTerminal = terminal.attachTo(mediator.key.publicKey, grant);
  await until(() => atTerminal.attachment?.open, 'the attachment is open');
  const atMediator = mediator.ends[before];
  if (atMediator === undefined) throw new Error('the mediator has no attachment');
  await until(() => atMediator.attachment?.open, 'the attachment is open at the mediator');
  return { atTerminal, atMediator };
}
