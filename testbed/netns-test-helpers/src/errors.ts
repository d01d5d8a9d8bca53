/**
 * Why a call failed. The code is for programs and does not change; the message is for people: it says
 * what was tried, where, and what the kernel or the tool answered.
 *
 * - `bad-input`: an argument is malformed (name, address, port, number).
 * - `command-failed`: a command ended with a code other than 0, or could not be started.
 * - `deadline`: something awaited did not happen in time.
 * - `destroyed`: the lab has been destroyed.
 * - `unsupported`: this machine or this user cannot do it; the message says what to change.
 * - `left-behind`: clean-up could not remove everything; the message lists what stayed.
 * - `state-file`: the file of a detached lab cannot be written, read or understood.
 */
export type LabErrorCode =
  | 'bad-input'
  | 'command-failed'
  | 'deadline'
  | 'destroyed'
  | 'unsupported'
  | 'left-behind'
  | 'state-file';

/** The only error class of this package. */
export class LabError extends Error {
  readonly code: LabErrorCode;

  constructor(code: LabErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'LabError';
    this.code = code;
  }
}

/**
 * The default branch of an exhaustive switch: does not compile if a case is missing.
 *
 * @throws LabError `bad-input`, when untyped code got past the compiler.
 */
export function unreachable(value: never): never {
  throw new LabError('bad-input', `unexpected value ${JSON.stringify(value)}`);
}
