import { AttachmentKeeper, type KeeperStatus, type Terminal } from '../terminal/index.ts';
import type { Context } from './context.ts';
import { formatDuration } from './duration.ts';

function sentence(status: KeeperStatus): string {
  switch (status.state) {
    case 'attached':
      return `attached to ${status.mediator}`;
    case 'waiting': {
      const since = `${status.since.toISOString()} (${formatDuration(Date.now() - status.since.getTime())})`;
      if (status.for === 'mediator') return `waiting: ${status.mediator} offline since ${since}`;
      return `waiting: no link to the server since ${since}${status.error === undefined ? '' : `: ${status.error.message}`}`;
    }
    case 'retrying':
      return `trying again in ${formatDuration(status.inMs)}: ${status.error.message}`;
  }
}

/** An attachment that is made anew whenever it is lost, telling the user what it waits for. */
export function keepAttached(
  context: Context,
  terminal: Terminal,
  mediator: string,
  signal: AbortSignal,
): AttachmentKeeper {
  const keeper = new AttachmentKeeper(terminal, mediator, { signal });
  keeper.on('status', status => {
    const { state } = status;
    context.output.status(sentence(status), { state, mediator });
  });
  return keeper;
}
