import { EntremiseError, type ErrorCode } from '../../base/errors.ts';

/** The catalogue code with which `run` fails, or undefined when it does not. What is no EntremiseError goes through. */
export function refusalOf(run: () => unknown): ErrorCode | undefined {
  try {
    run();
    return undefined;
  } catch (thrown) {
    if (thrown instanceof EntremiseError) return thrown.code;
    throw thrown;
  }
}
