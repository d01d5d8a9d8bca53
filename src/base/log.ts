import { type Logger, pino } from 'pino';

/** The logger that is passed around: pino's, with ids as fields and constant messages. */
export type Log = Logger;

/** What a log line must never hold, whatever is handed to it. */
const secretPaths = [
  'secret',
  'privateKey',
  'password',
  'token',
  '*.secret',
  '*.privateKey',
  '*.password',
  '*.token',
];

/** A logger that writes JSON lines to file descriptor `fd`, synchronously (a worker would not survive bundling). */
export function createLog(level: string, fd = 2): Log {
  return pino({ level, base: null, redact: secretPaths }, pino.destination({ dest: fd, sync: true }));
}

/** A logger that drops everything, for tests and for parts that were given none. */
export function silentLog(): Log {
  return pino({ level: 'silent' });
}
