/** What both ends of a TLS link insist on or prefer. */

/** No older version is spoken, whoever asks (P1.7). */
export const minTlsVersion = 'TLSv1.3';

/**
 * AES-128-GCM first: the fastest suite where the processor has AES instructions. The server follows its own order but
 * puts ChaCha20 first for a client that does (SSL_OP_PRIORITIZE_CHACHA), which is one without such instructions.
 */
export const cipherOrder = {
  aes: 'TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384',
  chacha: 'TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384',
} as const;
