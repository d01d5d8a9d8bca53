import { type Static, type TObject, type TProperties, Type } from '@sinclair/typebox';

/** What the HTTP API takes and gives: one schema each, which checks requests, shapes answers and is the OpenAPI document. */

const closed = <T extends TProperties>(fields: T): TObject<T> =>
  Type.Object(fields, { additionalProperties: false });

const number = Type.Integer({ minimum: 1, maximum: 65_535 });
const address = Type.String({ maxLength: 45, description: 'an IP address' });
const text = (maxLength: number, description: string) =>
  Type.String({ minLength: 1, maxLength, description });
const time = Type.String({ format: 'date-time' });

/** The answer of what is done and has nothing to say. */
export const done = { 204: Type.Unsafe<undefined>({ type: 'null', description: 'done' }) };

/** RFC 9457. */
export const problemSchema = Type.Object(
  {
    type: Type.String({ description: 'urn:entremise: and a code of the catalogue, or about:blank' }),
    title: Type.String(),
    status: Type.Integer(),
    detail: Type.String(),
    by: Type.Optional(Type.String({ description: 'who refused: grant, owner, server, mediator, terminal' })),
  },
  { $id: 'Problem' },
);

/** A mediator, as far as this API's grants let it be known. */
export const mediatorSchema = Type.Object(
  {
    name: Type.String(),
    key: Type.String(),
    labels: Type.Array(Type.String()),
    online: Type.Boolean(),
    since: time,
    observed: Type.Optional(Type.String({ description: 'where its link comes from, address:number' })),
    roundTripMs: Type.Optional(Type.Number()),
    software: Type.Optional(Type.String()),
    hostname: Type.Optional(Type.String({ description: 'by the gateway itself: text of a stranger' })),
    model: Type.Optional(Type.String()),
    release: Type.Optional(Type.String()),
    services: Type.Array(Type.String({ description: 'services that it wants to use (S5)' })),
    addresses: Type.Array(Type.String({ description: 'of its interfaces' })),
  },
  { $id: 'Mediator' },
);

/** Which mediators, and which page of them. */
export const mediatorsQuery = closed({
  name: Type.Optional(text(64, 'a part of the name')),
  label: Type.Optional(text(64, 'a label that it has')),
  service: Type.Optional(text(64, 'a service that it wants')),
  online: Type.Optional(Type.Boolean()),
  address: Type.Optional(text(64, 'of its link or of one of its interfaces')),
  version: Type.Optional(text(64, 'its software begins like this')),
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000, default: 100 })),
  cursor: Type.Optional(text(256, 'as the page before gave it')),
});
/** {@link mediatorsQuery}. */
export type MediatorsQuery = Static<typeof mediatorsQuery>;

/** One page of mediators. */
export const mediatorsPage = Type.Object({
  mediators: Type.Array(Type.Ref('Mediator')),
  cursor: Type.Optional(Type.String({ description: 'for the next page; none: this is the last' })),
});

/** Labels, which the authority sets. */
export const labelsList = Type.Object({
  labels: Type.Array(
    Type.Object({ label: Type.String(), mediators: Type.Integer(), online: Type.Integer() }),
  ),
});

/** An attachment (S1). */
export const attachmentSchema = Type.Object(
  {
    id: Type.String(),
    mediator: Type.String(),
    purpose: Type.String(),
    grant: Type.String(),
    state: Type.Union([Type.Literal('attached'), Type.Literal('suspended')]),
  },
  { $id: 'Attachment' },
);

/** What to attach to. */
export const attachWish = closed({
  mediator: text(64, 'its name'),
  purpose: Type.Optional(Type.Union([Type.Literal('assistance'), Type.Literal('service')])),
  holdMs: Type.Optional(Type.Integer({ minimum: 0, maximum: 86_400_000 })),
});

/** A port of the mediator (S7). */
export const portSchema = Type.Object(
  {
    id: Type.Integer(),
    protocol: Type.String(),
    address: Type.String(),
    number: Type.Integer(),
    state: Type.String(),
  },
  { $id: 'Port' },
);

/** A port that is wanted (P5.1). */
export const openWish = closed({
  protocol: Type.Union([Type.Literal('tcp'), Type.Literal('udp')]),
  address: Type.Optional(address),
  number: Type.Optional(number),
  choice: Type.Optional(
    Type.Union([Type.Literal('any'), Type.Literal('preferred'), Type.Literal('mandatory')]),
  ),
});

/** What carries datagrams where UDP does not pass (P5.5). */
export const redirectWish = closed({
  fallback: Type.Optional(Type.Union([Type.Literal('tcp'), Type.Literal('none')])),
});

/** Where to connect to (P5.2). */
export const connectWish = closed({
  host: text(255, 'an address or name, which the mediator resolves'),
  port: number,
});

/** A TCP connection of the mediator (S9, S10). */
export const connectionSchema = Type.Object(
  {
    id: Type.Integer(),
    localAddress: Type.String(),
    localPort: Type.Integer(),
    remoteAddress: Type.String(),
    remotePort: Type.Integer(),
  },
  { $id: 'Connection' },
);

/** A datagram to be sent. */
export const datagramWish = closed({
  address,
  port: number,
  content: Type.String({ maxLength: 87_400, contentEncoding: 'base64' }),
});

/** Names an attachment. */
export const attachmentParams = closed({ attachment: text(64, 'its id') });
/** Names a port of an attachment. */
export const portParams = closed({ attachment: text(64, 'its id'), port: Type.Integer({ minimum: 0 }) });
/** Names a connection of an attachment. */
export const connectionParams = closed({
  attachment: text(64, 'its id'),
  connection: Type.Integer({ minimum: 1 }),
});
/** Names a mediator. */
export const mediatorParams = closed({ name: text(64, 'its name') });
/** A name to be resolved (P6.8). */
export const resolveQuery = closed({ name: text(255, 'resolved by the mediator') });
/** How the body of `input` is taken. */
export const inputQuery = closed({
  fin: Type.Optional(Type.Boolean({ default: true, description: 'end that direction behind the body' })),
});
