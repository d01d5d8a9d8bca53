/** Parts of signed documents before anybody has verified them: to choose a verifier, never to act on. */

function jsonPart(text: string, index: number): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(
      Buffer.from(text.split('.', 3)[index] ?? '', 'base64url').toString('utf8'),
    );
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

/** The header that a document claims; empty when it has none that can be read. */
export function jwsHeader(text: string): { readonly typ?: unknown; readonly kid?: unknown } {
  return jsonPart(text, 0);
}

/** What a document claims; empty when it cannot be read. */
export function claimedPayload(text: string): Readonly<Record<string, unknown>> {
  return jsonPart(text, 1);
}

/** The authority keys that a trust statement claims. */
export function claimedAuthorityKeys(text: string): string[] {
  const { authorityKeys } = jsonPart(text, 1);
  return Array.isArray(authorityKeys) ? authorityKeys.map(String) : [];
}

/** The seq that a statement claims; 0 when it claims none. */
export function claimedSeq(text: string): number {
  const { seq } = jsonPart(text, 1);
  return typeof seq === 'number' ? seq : 0;
}

/** The `typ` that a document claims: decides which verifier it is handed to. */
export function documentType(text: string): string {
  const { typ } = jwsHeader(text);
  return typeof typ === 'string' ? typ : '';
}
