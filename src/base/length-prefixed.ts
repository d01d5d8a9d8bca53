/**
 * Fields joined without ambiguity, the `‖` of docs/protocol.md: each with its length in bytes in front (u32, big-endian),
 * text as UTF-8. Whatever is signed, hashed or keyed from several fields is joined by this (P6.1, P6.4, P6.5).
 */
export function lengthPrefixed(...fields: readonly (Uint8Array | string)[]): Buffer {
  const pieces: Uint8Array[] = [];
  for (const field of fields) {
    const bytes = typeof field === 'string' ? Buffer.from(field, 'utf8') : field;
    const length = Buffer.allocUnsafe(4);
    length.writeUInt32BE(bytes.length);
    pieces.push(length, bytes);
  }
  return Buffer.concat(pieces);
}
