import type { MapShape, Shape } from '../values.ts';

/** Shapes in the words of docs/protocol.md (P1.5), so that its tables can be compared with the code. */

const uintNames = new Map([
  [0xff, 'u8'],
  [0xffff, 'u16'],
  [0xffff_ffff, 'u32'],
  [Number.MAX_SAFE_INTEGER, 'uint'],
]);

/** The type of a field as docs/protocol.md writes it. */
export function shapeText(shape: Shape): string {
  switch (shape.kind) {
    case 'uint':
      return uintNames.get(shape.max) ?? `uint ≤ ${shape.max}`;
    case 'text':
      return `text ≤ ${shape.maxBytes}`;
    case 'bytes':
      return shape.min === shape.max ? `bytes ${shape.min}` : `bytes ${shape.min}–${shape.max}`;
    case 'list':
      return `list ≤ ${shape.max} of ${shapeText(shape.item)}`;
    case 'name':
      return Object.entries(shape.numbers)
        .map(([name, number]) => `${name}=${number}`)
        .join(', ');
    case 'map':
      return shape.name;
    case 'choice':
      return Object.keys(shape.cases).join(' or ');
    case 'bool':
    case 'address':
      return shape.kind;
  }
}

function mapsIn(shape: Shape): MapShape[] {
  if (shape.kind === 'list') return mapsIn(shape.item);
  if (shape.kind === 'choice') return Object.values(shape.cases).flatMap(mapsIn);
  return shape.kind === 'map' ? [shape, ...shape.fields.flatMap(field => mapsIn(field.shape))] : [];
}

/** Every map in `shapes` and inside them, each once. */
export function mapShapes(shapes: readonly Shape[]): MapShape[] {
  return [...new Set(shapes.flatMap(mapsIn))];
}
