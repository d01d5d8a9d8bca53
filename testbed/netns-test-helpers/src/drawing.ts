/*
 * The picture that a testbed owes its reader before it starts. Boxes stand in the order in which their
 * namespaces were made, as many in a row as fit. Neighbours with a link between them are joined by a line,
 * on the row of boxes or around its end; every other link is named in the box ("-> gateway").
 */

/** An interface as the drawing shows it. */
export interface DrawnInterface {
  readonly name: string;
  readonly addresses: readonly string[];
  /** A rate limit, "down", a special MTU; empty for nothing. */
  readonly note: string;
}

/** A namespace as the drawing shows it. */
export interface DrawnNamespace {
  readonly name: string;
  readonly interfaces: readonly DrawnInterface[];
  /** NATs, firewalls, timers, programs: one line each. */
  readonly notes: readonly string[];
}

/** One end of a link. */
export interface DrawnEnd {
  readonly namespace: string;
  readonly interface: string;
}

/** What there is to draw. */
export interface Topology {
  readonly namespaces: readonly DrawnNamespace[];
  readonly links: readonly (readonly [DrawnEnd, DrawnEnd])[];
}

const joint = ' ---- ';
const gap = ' '.repeat(joint.length);

/**
 * The topology as ASCII boxes, at most `width` columns wide (110 when left out) unless a single box is wider.
 */
export function drawTopology(topology: Topology, width = 110): string {
  const boxes = topology.namespaces.map((namespace, at) => boxOf(namespace, at, topology));
  const rows = intoRows(boxes, topology, width);
  return rows.map(row => drawRow(row, topology)).join('\n\n');
}

interface Box {
  readonly at: number;
  readonly lines: readonly string[];
  readonly width: number;
}

function boxOf(namespace: DrawnNamespace, at: number, topology: Topology): Box {
  const text = [
    namespace.name,
    ...namespace.interfaces.flatMap(own => interfaceLines(own, namespace.name, at, topology)),
    ...namespace.notes.map(note => `* ${note}`),
  ];
  const inner = Math.max(...text.map(line => line.length));
  const edge = `+-${'-'.repeat(inner)}-+`;
  const lines = [edge, ...text.map(line => `| ${line.padEnd(inner)} |`), edge];
  return { at, lines, width: inner + 4 };
}

function interfaceLines(own: DrawnInterface, namespace: string, at: number, topology: Topology): string[] {
  const far = farNamespaces(namespace, own.name, topology).filter(name => !isNeighbour(name, at, topology));
  const towards = far.length > 0 ? ` -> ${far.join(', ')}` : '';
  const note = own.note === '' ? '' : ` (${own.note})`;
  const [first = '', ...rest] = own.addresses;
  const indent = ' '.repeat(own.name.length + 1);
  return [`${own.name} ${first}`.trimEnd() + towards + note, ...rest.map(address => indent + address)];
}

function farNamespaces(namespace: string, interfaceName: string, topology: Topology): string[] {
  return topology.links.flatMap(([a, b]) => {
    if (a.namespace === namespace && a.interface === interfaceName) return [b.namespace];
    if (b.namespace === namespace && b.interface === interfaceName) return [a.namespace];
    return [];
  });
}

function isNeighbour(name: string, at: number, topology: Topology): boolean {
  return topology.namespaces[at - 1]?.name === name || topology.namespaces[at + 1]?.name === name;
}

/** Fills each row as far as the width goes, the line that leads on at its end included. */
function intoRows(boxes: readonly Box[], topology: Topology, width: number): Box[][] {
  const jointAfter = (at: number) => (areLinked(at, at + 1, topology) ? joint.length : 0);
  const rows: Box[][] = [];
  let used = 0;
  for (const box of boxes) {
    const row = rows.at(-1);
    if (row && used + gap.length + box.width + jointAfter(box.at) <= width) {
      row.push(box);
      used += gap.length + box.width;
    } else {
      rows.push([box]);
      used = (rows.length > 1 ? jointAfter(box.at - 1) : 0) + box.width;
    }
  }
  return rows;
}

function drawRow(row: readonly Box[], topology: Topology): string {
  const height = Math.max(...row.map(box => box.lines.length));
  const linked = (at: number) => areLinked(at, at + 1, topology);
  const first = row[0]?.at ?? 0;
  const last = row.at(-1)?.at ?? 0;
  return Array.from({ length: height }, (_, line) => {
    const cells = row.map(box => box.lines[line] ?? ' '.repeat(box.width));
    // The line that joins two boxes runs beside their names.
    const between = (at: number) => (line === 1 && linked(at) ? joint : gap);
    let text = linked(first - 1) ? between(first - 1) : '';
    row.forEach((box, index) => {
      text += (index === 0 ? '' : between(box.at - 1)) + cells[index];
    });
    return (text + between(last)).trimEnd();
  }).join('\n');
}

function areLinked(a: number, b: number, topology: Topology): boolean {
  const [nameA, nameB] = [topology.namespaces[a]?.name, topology.namespaces[b]?.name];
  if (nameA === undefined || nameB === undefined) return false;
  return topology.links.some(
    ([x, y]) =>
      (x.namespace === nameA && y.namespace === nameB) || (x.namespace === nameB && y.namespace === nameA),
  );
}
