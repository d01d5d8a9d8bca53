import * as v from 'valibot';
import { EntremiseError } from '../base/errors.ts';
import { generateSigningKey, saveSigningKey } from '../base/keys.ts';
import { firstIssue } from '../policy/schema.ts';
import { operatorName } from '../policy/trust-statement.ts';
import { type Authority, authorityFiles, openAuthority, writeAuthorityState } from './state.ts';

/**
 * Makes an authority in an empty or absent directory: its key, the successor's key, and its state. Its operator's name
 * cannot be changed later: members believe statements of this operator only.
 * @throws EntremiseError `bad-usage` for a bad name, `state-unreadable` when there is one already, or the directory cannot be written
 */
export function initAuthority(directory: string, operator: string): Authority {
  const name = v.safeParse(operatorName, operator);
  if (!name.success) {
    throw new EntremiseError('bad-usage', { message: `The operator's name ${firstIssue(name.issues)}.` });
  }
  saveSigningKey(authorityFiles.key(directory), generateSigningKey());
  saveSigningKey(authorityFiles.nextKey(directory), generateSigningKey());
  writeAuthorityState(directory, {
    version: 1,
    operator,
    trustSeq: 0,
    memberSeq: 0,
    serverPins: [],
    serverAddresses: [],
    delegates: [],
    inviters: [],
    revokedGrants: [],
    revokedKeys: [],
    retiring: [],
  });
  return openAuthority(directory);
}
