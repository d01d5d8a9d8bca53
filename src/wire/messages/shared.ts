import { list, oneOf, text } from '../fields.ts';

/** Capability names as they travel in HELLO and CHALLENGE (link-wise), ATTACH and ATTACHED (end to end) (P1.5). */
export const capabilities = list(text(32), 64);

/** Who refused (P5.8): the text of the grant, the gateway's owner, the server, the mediator or the terminal itself. */
export const refusedBy = oneOf({ grant: 1, owner: 2, server: 3, mediator: 4, terminal: 5 });

/** Which channel carries datagrams (P5.5, P7); `none`: they are dropped, since UDP does not pass. */
export const carrier = oneOf({ tcp: 1, udp: 2, none: 3 });

/** See {@link carrier}. */
export type Carrier = 'tcp' | 'udp' | 'none';

/** The AEAD suites of UDP channels (P7.1). */
export const suite = oneOf({ 'aes-128-gcm': 1, 'chacha20-poly1305': 2 });
