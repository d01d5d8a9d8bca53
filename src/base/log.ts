import { type Logger, type LoggerOptions, pino } from 'pino';

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

/** Who else is told of lines of `info` and above that are written, with what the log was given. */
export type LogTap = (fields: unknown, message: unknown) => void;

/**
 * A logger that writes JSON lines to file descriptor `fd`, synchronously (a worker would not survive bundling).
 */
export function createLog(level: string, fd = 2, tap: LogTap = () => {}): Log {
  const told = pino.levels.values.info ?? 0;
  const hooks: LoggerOptions['hooks'] = {
    logMethod(words, write, number) {
      if (number >= told) tap(words[0], words[1]);
      write.apply(this, words);
    },
  };
  return pino({ level, base: null, redact: secretPaths, hooks }, pino.destination({ dest: fd, sync: true }));
}

/** A logger that drops everything, for tests and for parts that were given none. */
export function silentLog(): Log {
  return pino({ level: 'silent' });
}
