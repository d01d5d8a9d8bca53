import { EntremiseError, type ErrorCode } from '../base/errors.ts';
import { parseServerAddress, type ServerAddress } from '../policy/server-address.ts';
import { badUsage } from './output.ts';

/** What the parsers of documents and messages call malformed, whoever wrote it. */
const malformed: ReadonlySet<ErrorCode> = new Set(['document-invalid', 'grant-invalid', 'bad-request']);

/** What is malformed because the command line says so is a wrong command line, and has its exit code. */
function asUsage(thrown: unknown): unknown {
  if (!(thrown instanceof EntremiseError) || !malformed.has(thrown.code)) return thrown;
  return badUsage(thrown.message);
}

/**
 * What the authority signs of what the command line wishes.
 * @throws EntremiseError `bad-usage` for a wish that makes no document; else as the signing
 */
export async function signed<T>(signing: Promise<T>): Promise<T> {
  try {
    return await signing;
  } catch (thrown) {
    throw asUsage(thrown);
  }
}

/**
 * A server's `host:number` on the command line.
 * @throws EntremiseError `bad-usage`
 */
export function serverAddressOf(text: string): ServerAddress {
  try {
    return parseServerAddress(text);
  } catch (thrown) {
    throw asUsage(thrown);
  }
}
