import type { MediatorAttachment } from './mediator-attachment.ts';
import type { TunnelDatagramSocket } from './tunnel-datagram-socket.ts';
import { reasonOf } from './tunnel-error.ts';
import type { OpenOptions } from './tunnel-port.ts';

/**
 * A bound UDP socket whose datagrams go over UDP where they may and can, and over the TCP channel elsewhere.
 * @throws TunnelError as {@link MediatorAttachment.createUdpSocket}
 */
export async function udpSocketBestWay(
  attachment: MediatorAttachment,
  options: Omit<OpenOptions, 'protocol'>,
): Promise<TunnelDatagramSocket> {
  if (attachment.mayRedirect) {
    try {
      return (await attachment.redirect(options)).createSocket();
    } catch (thrown) {
      // An owner may forbid this and allow OPEN; a mediator of before knows no REDIRECT.
      const reason = reasonOf(thrown);
      if (reason !== 'not-permitted' && reason !== 'unsupported') throw thrown;
    }
  }
  return attachment.createUdpSocket(options);
}
