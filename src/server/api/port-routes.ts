import { Type } from '@sinclair/typebox';
import type { TunnelPort } from '../../terminal/index.ts';
import type { ApiAttachments } from './api-attachments.ts';
import { type Api, tokenOf } from './api-request.ts';
import * as schemas from './schemas.ts';

const base = '/v1/attachments/:attachment/ports';

const portView = ({ id, protocol, address, number, state }: TunnelPort) => ({
  id,
  protocol,
  address,
  number,
  state,
});

/** OPEN, LISTEN, REDIRECT, CLOSE and datagrams (S7, S8, S10, S11, S13). */
export function portRoutes(api: Api, attachments: ApiAttachments): void {
  const opened = {
    params: schemas.attachmentParams,
    body: schemas.openWish,
    response: { 201: Type.Ref('Port') },
  };
  api.post(base, { schema: opened }, async (request, reply) => {
    const made = attachments.get(tokenOf(request), request.params.attachment);
    const port = await made.attachment.open(request.body);
    made.keepPort(port);
    return reply.code(201).send(portView(port));
  });
  const listed = { params: schemas.attachmentParams };
  api.get(base, { schema: listed }, async request => {
    const { attachment } = attachments.get(tokenOf(request), request.params.attachment);
    const ports = await attachment.ports();
    return {
      ports: ports.map(({ port: id, protocol, address, number, state }) => ({
        id,
        protocol,
        address,
        number,
        state,
      })),
    };
  });
  onePort(api, attachments);
}

function onePort(api: Api, attachments: ApiAttachments): void {
  const named = { params: schemas.portParams };
  api.delete(`${base}/:port`, { schema: { ...named, response: schemas.done } }, async (request, reply) => {
    await attachments.get(tokenOf(request), request.params.attachment).closePort(request.params.port);
    return reply.code(204).send();
  });
  api.post(
    `${base}/:port/listen`,
    { schema: { ...named, response: schemas.done } },
    async (request, reply) => {
      await attachments.get(tokenOf(request), request.params.attachment).listen(request.params.port);
      return reply.code(204).send();
    },
  );
  api.post(`${base}/:port/redirect`, { schema: { ...named, body: schemas.redirectWish } }, async request => {
    const made = attachments.get(tokenOf(request), request.params.attachment);
    const { port: id } = request.params;
    const channel = await made.port(id).redirect(request.body);
    made.datagrams(id);
    return { channel };
  });
  const given = { 202: Type.Unsafe<undefined>({ type: 'null', description: 'given to the port' }) };
  const sent = { ...named, body: schemas.datagramWish, response: given };
  api.post(`${base}/:port/datagrams`, { schema: sent }, async (request, reply) => {
    const made = attachments.get(tokenOf(request), request.params.attachment);
    const { address, port, content } = request.body;
    const socket = made.datagrams(request.params.port);
    await new Promise<void>((resolve, reject) =>
      socket.send(Buffer.from(content, 'base64'), port, address, error =>
        error === null ? resolve() : reject(error),
      ),
    );
    return reply.code(202).send();
  });
}
