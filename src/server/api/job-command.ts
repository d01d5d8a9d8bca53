import { type Static, Type } from '@sinclair/typebox';
import { type BulkWork, bulkWork } from '../../terminal/index.ts';

/** What a job does at each mediator. */

const closed = { additionalProperties: false };
const number = Type.Integer({ minimum: 1, maximum: 65_535 });
const text = Type.String({ minLength: 1, maxLength: 255 });

const connect = Type.Object({ verb: Type.Literal('connect'), host: text, port: number }, closed);
const open = Type.Object(
  {
    verb: Type.Literal('open'),
    protocol: Type.Union([Type.Literal('tcp'), Type.Literal('udp')]),
    address: Type.Optional(Type.String({ maxLength: 45 })),
    number,
  },
  closed,
);
const resolve = Type.Object({ verb: Type.Literal('resolve'), name: text }, closed);
const alone = Type.Object(
  { verb: Type.Union([Type.Literal('ports'), Type.Literal('limits'), Type.Literal('devices')]) },
  closed,
);

/** Schema of {@link JobCommand}. */
export const jobCommandSchema = Type.Union([connect, open, resolve, alone]);

/** A command for many mediators. */
export type JobCommand = Static<typeof jobCommandSchema>;

/** How it is done. */
export function workOf(command: JobCommand): BulkWork<object> {
  switch (command.verb) {
    case 'connect':
      return bulkWork.connect(command);
    case 'open':
      return bulkWork.open(command);
    case 'resolve':
      return bulkWork.resolve(command.name);
    default:
      return bulkWork[command.verb];
  }
}
