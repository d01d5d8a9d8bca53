import process from 'node:process';
import { EntremiseError } from '../base/errors.ts';
import { connectTerminal, type MediatorAttachment, type Terminal, TunnelError } from '../terminal/index.ts';
import type { Context } from './context.ts';
import { formatDuration } from './duration.ts';
import { cliHoldMs, resumedSentence, suspendedSentence } from './keeper.ts';

/** Ctrl-C and SIGTERM end the verb cleanly; a second one ends it at once. */
function stopSignal(): { readonly signal: AbortSignal; readonly done: () => void } {
  const controller = new AbortController();
  const stop = (name: NodeJS.Signals) => {
    if (controller.signal.aborted) process.exit(name === 'SIGINT' ? 130 : 143);
    controller.abort();
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  const done = () => {
    process.off('SIGINT', stop);
    process.off('SIGTERM', stop);
  };
  return { signal: controller.signal, done };
}

/** Rejects when the signal is raised. */
function raised(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) =>
    signal.addEventListener('abort', () => reject(new EntremiseError('aborted')), { once: true }),
  );
}

/** The SDK's errors as the catalogue's, which exit codes go by. */
function catalogued(thrown: unknown): unknown {
  if (!(thrown instanceof TunnelError)) return thrown;
  const { reason, message, by, cause } = thrown;
  return new EntremiseError(reason, { message, cause, ...(by === undefined ? {} : { by }) });
}

/** The profile's terminal. @throws EntremiseError as connectTerminal */
async function terminalOf({ profile, log }: Context): Promise<Terminal> {
  try {
    return await connectTerminal({ directory: profile.path, log });
  } catch (thrown) {
    throw catalogued(thrown);
  }
}

/** Says once why there is no link yet. Returns how to say it no more: who keeps an attachment tells later losses. */
function tellUnreachable({ output }: Context, terminal: Terminal): () => void {
  const tell = ({ error: { reason, message } }: { readonly error: TunnelError }) => {
    if (reason === 'server-unreachable')
      output.status(`waiting: no link to the server: ${message}`, { waiting: 'server' });
  };
  terminal.once('disconnected', tell);
  return () => terminal.off('disconnected', tell);
}

/**
 * Runs `work` with the profile's terminal, its list of mediators complete. When the user ends the program the signal is
 * raised and an ending by it is no failure, until `work` calls `leaveSignals`: then they are its own business. `patient`:
 * the server may be out of reach for as long as it likes.
 * @throws EntremiseError in the place of every TunnelError
 */
export async function withTerminal(
  context: Context,
  work: (terminal: Terminal, signal: AbortSignal, leaveSignals: () => void) => Promise<void>,
  { patient = false }: { readonly patient?: boolean } = {},
): Promise<void> {
  const { signal, done } = stopSignal();
  const terminal = await terminalOf(context);
  const stopTelling = tellUnreachable(context, terminal);
  try {
    await Promise.race([terminal.ready(patient ? { signal } : {}), raised(signal)]);
    stopTelling();
    await work(terminal, signal, done);
  } catch (thrown) {
    if (!signal.aborted) throw catalogued(thrown);
  } finally {
    await terminal.close();
    done();
  }
}

/** Waits for a mediator, telling the user that it waits and since when there is reason to. */
export async function waitForMediator(
  context: Context,
  terminal: Terminal,
  name: string,
  signal: AbortSignal,
): Promise<void> {
  const known = terminal.mediators().find(mediator => mediator.name === name);
  if (known !== undefined && !known.online) {
    const since = `${known.since.toISOString()} (${formatDuration(Date.now() - known.since.getTime())})`;
    context.output.status(`waiting: ${name} offline since ${since}`, {
      waiting: name,
      offlineSince: known.since,
    });
  }
  await terminal.waitOnline(name, { signal });
}

function tellSuspensions({ output }: Context, attachment: MediatorAttachment): void {
  const { mediator } = attachment.peer;
  attachment.on('suspended', suspension => {
    const { reason, until } = suspension;
    output.status(suspendedSentence(suspension), { state: 'suspended', mediator, reason, until });
  });
  attachment.on('resumed', ({ afterMs }) =>
    output.status(resumedSentence(afterMs), { state: 'resumed', mediator, afterMs: Math.round(afterMs) }),
  );
}

/** Runs `work` attached to the mediator, waiting for it to come online first. */
export function withAttachment(
  context: Context,
  name: string,
  work: (attachment: MediatorAttachment, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  return withTerminal(context, async (terminal, signal) => {
    await waitForMediator(context, terminal, name, signal);
    const attachment = await terminal.attach(name, { signal, holdMs: cliHoldMs });
    tellSuspensions(context, attachment);
    try {
      await work(attachment, signal);
    } finally {
      await attachment.detach();
    }
  });
}
