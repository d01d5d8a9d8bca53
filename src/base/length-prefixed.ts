/**
 * Fields joined without ambiguity: each with its length in front (u16, big-endian), text as UTF-8. This is how the parts
 * of an enrolment code are hashed (P6.5).
 * @throws RangeError for a field of more than 65,535 bytes
 */
export function lengthPrefixed(...fields: readonly (Uint8Array | string)[]): Buffer {
  const pieces: Buffer[] = [];
  for (const field of fields) {
    const bytes = Buffer.from(field);
    const length = Buffer.alloc(2);
    length.writeUInt16BE(bytes.length);
    pieces.push(length, bytes);
  }
  return Buffer.concat(pieces);
}
