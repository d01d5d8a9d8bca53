import { createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto';
import test from 'ava';
import { fakeClock } from '../base/clock.ts';
import { createKeyAndCertificate } from './certificate.ts';
import { pinOf } from './pin.ts';

const hosts = ['server.example', '192.0.2.1', '2001:db8::1'];

test('the key is ECDSA P-256 and the certificate signs itself for names and addresses', async t => {
  const { key, cert } = await createKeyAndCertificate(hosts);
  const certificate = new X509Certificate(cert);
  t.is(createPrivateKey(key).asymmetricKeyType, 'ec');
  t.is(createPrivateKey(key).asymmetricKeyDetails?.namedCurve, 'prime256v1');
  t.true(certificate.verify(certificate.publicKey));
  t.true(certificate.checkPrivateKey(createPrivateKey(key)));
  t.is(certificate.checkHost('server.example'), 'server.example');
  t.is(certificate.checkIP('192.0.2.1'), '192.0.2.1');
  t.is(certificate.checkIP('2001:db8::1'), '2001:db8::1');
  t.is(certificate.checkHost('other.example'), undefined);
  t.false(certificate.ca);
});

test('it is valid from a day ago and without an end, whatever the year', async t => {
  const { cert } = await createKeyAndCertificate([], fakeClock(Date.UTC(2031, 4, 2)));
  const { validFrom, validTo } = new X509Certificate(cert);
  t.is(new Date(validFrom).toISOString(), '2031-05-01T00:00:00.000Z');
  t.is(new Date(validTo).toISOString(), '9999-12-31T23:59:59.000Z');
});

test('two keys are never the same, nor their serial numbers', async t => {
  const [one, two] = [await createKeyAndCertificate([]), await createKeyAndCertificate([])];
  t.notDeepEqual(pinOf(one.cert), pinOf(two.cert));
  t.not(new X509Certificate(one.cert).serialNumber, new X509Certificate(two.cert).serialNumber);
});

test('certificate, private and public key give one pin, as text and as object', async t => {
  const { key, cert } = await createKeyAndCertificate(hosts);
  const privateKey = createPrivateKey(key);
  const publicKey = createPublicKey(privateKey);
  const publicPem = publicKey.export({ type: 'spki', format: 'pem' });
  const pins = [
    key,
    cert,
    privateKey,
    publicKey,
    publicPem,
    Buffer.from(cert),
    new X509Certificate(cert),
  ].map(pinOf);
  t.is(new Set(pins.map(pin => pin.toString('hex'))).size, 1);
  t.is(pins[0]?.length, 32);
});

test('what is no key and no certificate is said to be none', t => {
  for (const text of ['', 'hello', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n']) {
    t.throws(() => pinOf(text), { code: 'bad-config', message: /neither a certificate nor a key/ });
  }
});

test('a pin is SHA-256 over the SPKI in DER', t => {
  // The P-256 key of RFC 6979 appendix A.2.5.
  const jwk = {
    kty: 'EC',
    crv: 'P-256',
    x: Buffer.from('60FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB6', 'hex').toString(
      'base64url',
    ),
    y: Buffer.from('7903FE1008B8BC99A41AE9E95628BC64F2F1B20C2D7E9F5177A3C294D4462299', 'hex').toString(
      'base64url',
    ),
  };
  t.is(
    pinOf(createPublicKey({ key: jwk, format: 'jwk' })).toString('hex'),
    '5a7a78cca4a0f420d9bc62bb669c3c2759e39f723d3ae10dcbe0f0815a07ecd4',
  );
});
