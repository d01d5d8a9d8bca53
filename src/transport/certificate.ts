// @peculiar/x509 throws unless this comes first.
import 'reflect-metadata';
import { KeyObject, randomBytes, webcrypto } from 'node:crypto';
import { isIP } from 'node:net';
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from '@peculiar/x509';
import { type Clock, systemClock } from '../base/clock.ts';

/**
 * The server's own certificate. Members pin its key and look at nothing else in it (P6.1); names are there for HTTP
 * clients that are given the certificate as their CA. Only the server imports this file: the X.509 library has no
 * place in the bundles of mediators and terminals, which need {@link ./pin.ts} only.
 */

/** A TLS key and its certificate as text, the way they are kept in files. */
export interface KeyAndCertificate {
  /** PKCS #8 PEM. */
  readonly key: string;
  /** X.509 PEM. */
  readonly cert: string;
}

const keyAlgorithm = { name: 'ECDSA', namedCurve: 'P-256' } as const;

/** Clocks of gateways lag; a certificate must not be from their future. */
const backdateMs = 24 * 60 * 60 * 1000;

/** "No well-defined expiration date" (RFC 5280 §4.1.2.5): the key is changed by a trust statement, not by a date. */
const never = new Date('9999-12-31T23:59:59Z');

/** Positive and at most 20 octets (RFC 5280 §4.1.2.2). */
function randomSerialNumber(): string {
  const serial = randomBytes(16);
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40;
  return serial.toString('hex');
}

function extensionsFor(hosts: readonly string[]) {
  const names = hosts.map(value => ({ type: isIP(value) === 0 ? 'dns' : 'ip', value }) as const);
  return [
    new BasicConstraintsExtension(false, undefined, true),
    new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
    new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
    ...(names.length === 0 ? [] : [new SubjectAlternativeNameExtension(names)]),
  ];
}

/**
 * A fresh ECDSA P-256 key with a self-signed certificate for `hosts` (names and IP addresses by which the server is
 * reached; may be empty), valid from a day ago for ever.
 */
export async function createKeyAndCertificate(
  hosts: readonly string[],
  clock: Clock = systemClock,
): Promise<KeyAndCertificate> {
  const keys = await webcrypto.subtle.generateKey(keyAlgorithm, true, ['sign', 'verify']);
  const certificate = await X509CertificateGenerator.createSelfSigned(
    {
      serialNumber: randomSerialNumber(),
      name: 'CN=entremise server',
      notBefore: new Date(clock.wallTimeMs() - backdateMs),
      notAfter: never,
      signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
      keys,
      extensions: extensionsFor(hosts),
    },
    webcrypto,
  );
  const key = KeyObject.from(keys.privateKey).export({ type: 'pkcs8', format: 'pem' });
  return { key: key.toString(), cert: certificate.toString('pem') };
}
