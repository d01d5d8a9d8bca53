import { attachedEnds } from './attached-ends.ts';
import { type TestOperator, until } from './test-operator.ts';

/** Others on the same server, who must feel nothing of what a test does to it. */
export interface Bystanders {
  /** Throws unless their attachment still carries a command, and both links live. */
  feelNothing(): Promise<void>;
  /** Lets that much of the server's time pass, in steps in which a live peer has time to answer; they feel nothing. */
  pass(ms: number): Promise<void>;
}

const stepMs = 1_000;

/** A terminal and a mediator, attached. */
export async function bystanders(made: TestOperator): Promise<Bystanders> {
  const { terminal, mediator, atTerminal, atMediator } = await attachedEnds(made);
  let asked = 0;
  const others: Bystanders = {
    async pass(ms) {
      for (let left = ms; left > 0; left -= stepMs) {
        made.clock.leap(Math.min(left, stepMs));
        await others.feelNothing();
      }
    },
    async feelNothing() {
      asked++;
      atTerminal.attachment?.sendCommand({ id: asked, verb: 'query', what: 'ports' });
      await until(() => atMediator.commands.length === asked, 'a command of others arrives');
      const whole = atTerminal.gone === undefined && atMediator.gone === undefined;
      if (!whole || !terminal.link.driver.live || !mediator.link.driver.live)
        throw new Error('an attachment of others has suffered');
    },
  };
  return others;
}

/**
 * Lines of the log, of level info and above, that name this peer. `since`: how many lines there were before it came, for a
 * peer before it may have had the same number.
 */
export function linesAbout(made: TestOperator, remote: string, since = 0): Record<string, unknown>[] {
  return made.logged.slice(since).filter(line => line.remote === remote && Number(line.level) >= 30);
}
