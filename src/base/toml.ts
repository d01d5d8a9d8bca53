import { parse, TomlError } from 'smol-toml';
import { EntremiseError } from './errors.ts';

/**
 * The tables of a TOML file, not yet checked.
 * @throws EntremiseError `bad-config`, `where` and then line, column and what is wrong there
 */
export function parseToml(text: string, where: string): unknown {
  try {
    return parse(text);
  } catch (cause) {
    if (!(cause instanceof TomlError)) throw cause;
    const [reason] = cause.message.split('\n');
    const message = `${where}: line ${cause.line}, column ${cause.column}: ${reason}.`;
    throw new EntremiseError('bad-config', { message, cause });
  }
}
