import { connect } from 'node:net';
import { EntremiseError } from '../../base/errors.ts';
import type { ControlAnswer, ControlRequest } from './control-socket.ts';
import type { MediatorStatus } from './status.ts';

/** The other end of the control socket. */

const answerTimeoutMs = 10_000;

const whyNot: Readonly<Record<string, string>> = {
  EACCES: 'only root and its own user may ask it',
  ENOENT: 'it does not run, or with another configuration',
  ECONNREFUSED: 'it does not run',
};

function answerOf(path: string, request: ControlRequest): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    const socket = connect(path, () => socket.write(`${JSON.stringify(request)}\n`));
    const fail = (reason: string) =>
      reject(
        new EntremiseError('environment-unfit', { message: `No mediator answers at ${path}: ${reason}.` }),
      );
    socket.setTimeout(answerTimeoutMs, () => socket.destroy(new Error('it does not answer')));
    socket.on('error', (error: NodeJS.ErrnoException) => fail(whyNot[error.code ?? ''] ?? error.message));
    socket.setEncoding('utf8').on('data', (piece: string) => {
      text += piece;
    });
    socket.on('end', () => resolve(text));
    socket.on('close', () => fail('it went away'));
  });
}

/**
 * Has the mediator that runs here do something; the status after it.
 * @throws EntremiseError `environment-unfit` when none answers, `bad-request` when it does not know how
 */
export async function askMediator(path: string, request: ControlRequest): Promise<MediatorStatus> {
  const answer = JSON.parse(await answerOf(path, request)) as ControlAnswer;
  if (answer.ok) return answer.status;
  throw new EntremiseError('bad-request', { message: answer.message });
}
