import { lookup as resolveName } from 'node:dns/promises';
import { EntremiseError } from '../base/errors.ts';
import { errnoOf } from '../native/errno.ts';
import { type CanonicalAddress, parseAddress } from '../policy/target.ts';

/**
 * The addresses of a name as the gateway's own resolver (hosts file, DNS) gives them, in its order, each in canonical
 * form (P5.2, P6.8).
 * @throws EntremiseError `no-such-name`, or `timed-out` when no name server answers
 */
export async function lookupName(name: string): Promise<readonly CanonicalAddress[]> {
  try {
    const found = await resolveName(name, { all: true, verbatim: true });
    const addresses = found.flatMap(({ address }) => parseAddress(address) ?? []);
    if (addresses.length > 0) return addresses;
  } catch (cause) {
    if (errnoOf(cause) === 'EAI_AGAIN') {
      const message = `No name server of the mediator answers for ${name}; use the address, or try again.`;
      throw new EntremiseError('timed-out', { by: 'mediator', message, cause });
    }
  }
  throw new EntremiseError('no-such-name', {
    by: 'mediator',
    message: `${name} has no address as seen from the mediator; check the spelling, or use the address.`,
  });
}
