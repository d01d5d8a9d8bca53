import { EntremiseError } from '../base/errors.ts';
import { type AddressClass, addressClasses, classesOf } from './address-class.ts';
import { facesOf } from './embedded-address.ts';
import { type GatewayFacts, isOnLan } from './gateway-facts.ts';
import { isSingleAddress, type Network, networkContains, networkText, parseNetwork } from './network.ts';
import { type CanonicalAddress, quoted } from './target.ts';

/**
 * The words in which grants and owners name addresses: a network or address, `lan` (what is attached to the owner's LAN
 * interfaces), or one of the classes that no network covers. Where ports are bound, `wildcard` too.
 */
export type AddressEntry =
  | { readonly kind: 'network'; readonly network: Network }
  | { readonly kind: 'lan' }
  | { readonly kind: 'class'; readonly name: AddressClass }
  | { readonly kind: 'wildcard' };

/** Every word that can stand in the place of a network. */
export const addressWords: readonly string[] = ['lan', ...addressClasses];

function isAddressClass(text: string): text is AddressClass {
  return (addressClasses as readonly string[]).includes(text);
}

/**
 * Reads one entry.
 * @throws EntremiseError `bad-request`, listing what is allowed
 */
export function parseAddressEntry(text: string): AddressEntry {
  if (text === 'lan' || text === 'wildcard') return { kind: text };
  if (isAddressClass(text)) return { kind: 'class', name: text };
  if (/[.:/]/.test(text)) return { kind: 'network', network: parseNetwork(text) };
  throw new EntremiseError('bad-request', {
    message: `${quoted(text)} names no address; allowed are a network, an address, or one of: ${addressWords.join(', ')}.`,
  });
}

/** The entry as it is written. */
export function addressEntryText(entry: AddressEntry): string {
  if (entry.kind === 'network') return networkText(entry.network);
  return entry.kind === 'class' ? entry.name : entry.kind;
}

/** True when an entry is this very address, and so names it whatever its class. */
export function namedExactly(entries: readonly AddressEntry[], address: CanonicalAddress): boolean {
  return entries.some(
    entry =>
      entry.kind === 'network' && isSingleAddress(entry.network) && networkContains(entry.network, address),
  );
}

/** Classes that only the gateway can tell: without its facts they may be any ordinary address. */
const knownAtGateway: ReadonlySet<AddressClass> = new Set(['gateway', 'broadcast']);

function coversOrdinary(
  entry: AddressEntry,
  face: CanonicalAddress,
  facts: GatewayFacts | undefined,
): boolean {
  if (entry.kind === 'network') return networkContains(entry.network, face);
  if (facts === undefined)
    return entry.kind === 'lan' || (entry.kind === 'class' && knownAtGateway.has(entry.name));
  return entry.kind === 'lan' && isOnLan(facts, face);
}

function allowsFace(
  entries: readonly AddressEntry[],
  face: CanonicalAddress,
  facts: GatewayFacts | undefined,
): boolean {
  if (namedExactly(entries, face)) return true;
  const classes = classesOf(face, facts);
  if (classes.length === 0) return entries.some(entry => coversOrdinary(entry, face, facts));
  return classes.every(name => entries.some(entry => entry.kind === 'class' && entry.name === name));
}

/**
 * The face of the address (itself or an address inside it) that the entries do not allow, or undefined when all are
 * allowed. An entry that is exactly the address as written answers for what is inside it. Without `facts` (on the
 * server) the words whose meaning only the gateway knows allow every ordinary address: the mediator decides.
 */
export function faceNotAllowed(
  entries: readonly AddressEntry[],
  address: CanonicalAddress,
  facts: GatewayFacts | undefined,
): CanonicalAddress | undefined {
  if (namedExactly(entries, address)) return undefined;
  return facesOf(address).find(face => !allowsFace(entries, face, facts));
}

/** The entry that covers the address or one inside it, or undefined. This is the deny list: covering is enough. */
export function entryCovering(
  entries: readonly AddressEntry[],
  address: CanonicalAddress,
  facts: GatewayFacts | undefined,
): AddressEntry | undefined {
  const faces = facesOf(address);
  return entries.find(entry =>
    faces.some(face =>
      entry.kind === 'class'
        ? classesOf(face, facts).includes(entry.name)
        : coversOrdinary(entry, face, facts),
    ),
  );
}
