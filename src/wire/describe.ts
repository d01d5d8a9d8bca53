import type { Frame } from './frame.ts';
import { frameFlag, frameNameOf, headerBytes } from './spec.ts';

const knownFlags = Object.values(frameFlag).reduce((all, bit) => all | bit, 0);

function flagNames(flags: number): string {
  const known = Object.entries(frameFlag).filter(([, bit]) => (flags & bit) !== 0);
  const names = known.map(([name]) => ` +${name.toUpperCase()}`);
  const unknown = flags & ~knownFlags;
  return names.join('') + (unknown === 0 ? '' : ` +0x${unknown.toString(16)}`);
}

/**
 * One line about a frame for a trace: name, flags, label, stream and length of the body in bytes, such as
 * `DATA +NOW label=3 stream=1 length=1460`. Nothing of the body, which may be secret or hostile.
 */
export function describeFrame(frame: Frame): string {
  const name = frameNameOf(frame.type)?.toUpperCase() ?? `0x${frame.type.toString(16).padStart(2, '0')}`;
  const length = frame.bytes.length - headerBytes;
  return `${name}${flagNames(frame.flags)} label=${frame.label} stream=${frame.stream} length=${length}`;
}
