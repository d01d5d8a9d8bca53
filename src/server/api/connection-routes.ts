import { once } from 'node:events';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Type } from '@sinclair/typebox';
import type { TunnelSocket } from '../../terminal/index.ts';
import type { ApiConnection } from './api-attachment.ts';
import type { ApiAttachments } from './api-attachments.ts';
import { type Api, tokenOf } from './api-request.ts';
import { ApiFailure } from './problem.ts';
import * as schemas from './schemas.ts';

const base = '/v1/attachments/:attachment/connections';

function connectionView({ id, socket }: ApiConnection) {
  const { localAddress = '', localPort = 0, remoteAddress = '', remotePort = 0 } = socket;
  return { id, localAddress, localPort, remoteAddress, remotePort };
}

/**
 * CONNECT, and the bytes of connections (S9, S12): the answer of `output` is what the device sends, until its FIN; the body
 * of `input` is sent to it, with a FIN behind it. A RST cuts the answer off in the middle.
 */
export function connectionRoutes(api: Api, attachments: ApiAttachments): void {
  // Bytes as they come, of any length.
  api.addContentTypeParser('application/octet-stream', (_request, payload, done) => done(null, payload));
  const made = {
    params: schemas.attachmentParams,
    body: schemas.connectWish,
    response: { 201: Type.Ref('Connection') },
  };
  api.post(base, { schema: made }, async (request, reply) => {
    const found = attachments.get(tokenOf(request), request.params.attachment);
    const socket = found.attachment.connect({ ...request.body, allowHalfOpen: true });
    await once(socket, 'connect');
    return reply.code(201).send(connectionView(found.keepConnection(socket)));
  });
  bytes(api, attachments);
}

function bytes(api: Api, attachments: ApiAttachments): void {
  const named = { params: schemas.connectionParams };
  const socketOf = (
    token: Parameters<ApiAttachments['get']>[0],
    attachment: string,
    id: number,
  ): TunnelSocket => attachments.get(token, attachment).connection(id);
  api.get(`${base}/:connection/output`, { schema: named }, (request, reply) => {
    const { attachment, connection } = request.params;
    const socket = socketOf(tokenOf(request), attachment, connection);
    if (socket.listenerCount('data') > 0 || socket.readableEnded)
      throw new ApiFailure(409, 'Its output has been asked for before.');
    reply.hijack();
    reply.raw.writeHead(200, { 'Content-Type': 'application/octet-stream', 'Cache-Control': 'no-store' });
    reply.raw.flushHeaders();
    // A stream of its own: who leaves half-way must not end the connection's other direction.
    pipeline(Readable.from(socket.iterator({ destroyOnReturn: false })), reply.raw).catch(() =>
      reply.raw.destroy(),
    );
  });
  api.post(
    `${base}/:connection/input`,
    { schema: { ...named, querystring: schemas.inputQuery, response: schemas.done } },
    async (request, reply) => {
      const { attachment, connection } = request.params;
      const socket = socketOf(tokenOf(request), attachment, connection);
      if (!(request.body instanceof Readable)) throw new ApiFailure(415, 'Send application/octet-stream.');
      await pipeline(request.body, socket, { end: request.query.fin !== false });
      return reply.code(204).send();
    },
  );
  api.delete(
    `${base}/:connection`,
    { schema: { ...named, response: schemas.done } },
    async (request, reply) => {
      const { attachment, connection } = request.params;
      socketOf(tokenOf(request), attachment, connection).resetAndDestroy();
      return reply.code(204).send();
    },
  );
}
