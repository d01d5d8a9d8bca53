import { EntremiseError, type ErrorCode } from '../base/errors.ts';
import { parseServerAddress, type ServerAddress } from '../policy/server-address.ts';
import { badUsage } from './output.ts';

/** What the parsers of documents and messages call malformed, whoever wrote it. */
const malformed: ReadonlySet<ErrorCode> = new Set(['document-invalid', 'grant-invalid', 'bad-request']);

/** What is malformed because the command line says so is a wrong command line, and has its exit code. */
function usageError(thrown: unknown): unknown {
  if (!(thrown instanceof EntremiseError) || !malformed.has(thrown.code)) return thrown;
  return badUsage(thrown.message);
}

/**
 * What is read of the command line.
 * @throws EntremiseError `bad-usage` where `read` says that it is malformed; else as `read`
 */
export function asUsage<T>(read: () => T): T {
  try {
    return read();
  } catch (thrown) {
    throw usageError(thrown);
  }
}

/**
 * What the authority signs of what the command line wishes.
 * @throws EntremiseError `bad-usage` for a wish that makes no document; else as the signing
 */
export async function signed<T>(signing: Promise<T>): Promise<T> {
  try {
    return await signing;
  } catch (thrown) {
    throw usageError(thrown);
  }
}

/**
 * A server's `host:number` on the command line.
 * @throws EntremiseError `bad-usage`
 */
export function serverAddressOf(text: string): ServerAddress {
  return asUsage(() => parseServerAddress(text));
}
