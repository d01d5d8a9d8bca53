import { Type } from '@sinclair/typebox';
import type { DeviceListing } from '../../terminal/index.ts';
import type { ApiAttachments } from './api-attachments.ts';
import { type Api, tokenOf } from './api-request.ts';
import * as schemas from './schemas.ts';

/** A lease's end may be any number: text of a stranger (P1.8). */
function leaseText(leaseUntilMs: number): string | null {
  const date = new Date(leaseUntilMs);
  return Number.isNaN(date.getTime()) ? null : date.toISOString();
}

function deviceView({ leaseUntilMs, ...rest }: DeviceListing) {
  return leaseUntilMs === undefined ? rest : { ...rest, leaseUntil: leaseText(leaseUntilMs) };
}

/** QUERY devices (P5.6): of an attachment, or of a mediator that is attached to for as long as it takes. */
export function deviceRoutes(api: Api, attachments: ApiAttachments): void {
  const answer = { response: { 200: Type.Object({ devices: Type.Array(Type.Unknown()) }) } };
  const ofAttachment = { params: schemas.attachmentParams, ...answer };
  api.get('/v1/attachments/:attachment/devices', { schema: ofAttachment }, async request => {
    const { attachment } = attachments.get(tokenOf(request), request.params.attachment);
    return { devices: (await attachment.devices()).map(deviceView) };
  });
  const ofMediator = { params: schemas.mediatorParams, ...answer };
  api.get('/v1/mediators/:name/devices', { schema: ofMediator }, async request => {
    const { name: mediator } = request.params;
    const { attachment } = await attachments.attach(tokenOf(request), { mediator, holdMs: 0 });
    try {
      return { devices: (await attachment.devices()).map(deviceView) };
    } finally {
      attachment.detach();
    }
  });
}
