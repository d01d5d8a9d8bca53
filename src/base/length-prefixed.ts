/**
 * Fields joined without ambiguity: each with its length in front (u16, big-endian), text as UTF-8. This is the ‖ of the
 * protocol document. Fields are at most 65,535 bytes.
 */
export function lengthPrefixed(...fields: readonly (Uint8Array | string)[]): Buffer {
  const pieces: Buffer[] = [];
  for (const field of fields) {
    const bytes = typeof field === 'string' ? Buffer.from(field) : Buffer.from(field);
    const length = Buffer.alloc(2);
    length.writeUInt16BE(bytes.length);
    pieces.push(length, bytes);
  }
  return Buffer.concat(pieces);
}
