import { randomBytes } from 'node:crypto';
import { systemClock } from '../base/clock.ts';
import { deferred } from '../base/deferred.ts';
import { EntremiseError } from '../base/errors.ts';
import type { SigningKey } from '../base/keys.ts';
import type { Log } from '../base/log.ts';
import {
  signEnrolment,
  type TrustStatement,
  verifyMemberStatement,
  verifyTrustStatement,
} from '../policy/documents.ts';
import { codeIsFor, type EnrolmentCode, invitationKeyOf } from '../policy/enrolment-code.ts';
import { documentType } from '../policy/jws-parts.ts';
import { type ServerAddress, serverAddressText } from '../policy/server-address.ts';
import type { Enrolment } from '../session/handshake.ts';
import { MemberLink } from '../session/member-link.ts';
import { connectTls } from '../transport/tls.ts';
import { alpnProtocol } from '../wire/spec.ts';
import type { MemberDirectory, Membership } from './directory.ts';
import { proxySetting } from './proxy-setting.ts';

/** How long the whole enrolment may take. */
const enrolTimeoutMs = 20_000;

/** What an enrolment needs. */
export interface EnrolOptions {
  readonly directory: MemberDirectory;
  readonly role: 'mediator' | 'terminal';
  readonly code: EnrolmentCode;
  readonly server: ServerAddress;
  readonly software: string;
  readonly log: Log;
}

interface Received {
  trust: string | undefined;
  statement: string | undefined;
}

/**
 * Enrols a member by its code (P6.5): makes its key, proves it to a server whose pin and authority the code vouches for,
 * and keeps what the authority says of it.
 * @throws EntremiseError `code-invalid`, `code-used`, `code-expired`, `name-taken`, `server-unreachable`, `tls-failed`,
 * `pin-mismatch`, `document-invalid`, `idle-timeout`, `state-unreadable`
 */
export async function enrolMember(options: EnrolOptions): Promise<Membership> {
  const { directory, code, role, server } = options;
  const key = directory.key();
  const vouched = { pin: '', authorityKey: '' };
  const enrolment: Enrolment = {
    statement: await signEnrolment(invitationKeyOf(code), key.text, systemClock.wallTimeMs()),
    check(serverPin, authorityKey) {
      vouched.pin = Buffer.from(serverPin).toString('base64url');
      vouched.authorityKey = Buffer.from(authorityKey).toString('base64url');
      if (authorityKey.length === 32 && codeIsFor(code, vouched.pin, vouched.authorityKey)) return;
      throw new EntremiseError('pin-mismatch', {
        message: `${serverAddressText(server)} is not the server that this code was made for; check --server, and who answers there.`,
      });
    },
  };
  const received = await receiveDocuments(options, key, enrolment);
  const trust = await verifyTrustStatement(received.trust, [vouched.authorityKey]);
  refuseUnlistedPin(trust, vouched.pin, server);
  const self = await verifyMemberStatement(received.statement, trust);
  if (self.key !== key.text || self.role !== role) {
    throw new EntremiseError('document-invalid', {
      message: `The code was made for a ${self.role} (${self.name}), not for this ${role}.`,
    });
  }
  const membership = {
    role,
    name: self.name,
    servers: [serverAddressText(server)],
    serverPins: [vouched.pin],
    statement: received.statement,
    trust: trust.text,
  };
  directory.saveMembership(membership);
  return membership;
}

/** A member that believed this statement would never again talk to the server that gave it. */
function refuseUnlistedPin(trust: TrustStatement, pin: string, server: ServerAddress): void {
  if (trust.serverPins.includes(pin)) return;
  throw new EntremiseError('pin-mismatch', {
    message: `The operator's trust statement does not name the key of ${serverAddressText(server)}: ask the operator to run "entremise authority trust --pin ${pin}", then use the same code again.`,
  });
}

/** One link, for as long as it takes the server to welcome the member and send both documents. */
async function receiveDocuments(
  options: EnrolOptions,
  signer: SigningKey,
  enrolment: Enrolment,
): Promise<{ trust: string; statement: string }> {
  const { server, role, software, log } = options;
  const transport = await connectTls({
    host: server.host,
    port: server.number,
    alpn: alpnProtocol,
    expectedPins: 'compare-later',
    timeoutMs: enrolTimeoutMs,
    proxy: proxySetting(),
  });
  const done = deferred<{ trust: string; statement: string }>();
  const received: Received = { trust: undefined, statement: undefined };
  const identity = { role, signer, instance: randomBytes(16), software, capabilities: [] };
  const link = new MemberLink(
    { transport, clock: systemClock, log, keepaliveMs: enrolTimeoutMs },
    identity,
    1,
    {
      onWelcome: () => {},
      onAttach: () => {},
      onAttached: () => {},
      onPresence: () => {},
      onService: () => {},
      onStatement(message) {
        for (const text of message.documents ?? []) keepIfWanted(received, text);
        const { trust, statement } = received;
        if (trust !== undefined && statement !== undefined) done.resolve({ trust, statement });
      },
      onClosed: error => done.reject(error),
    },
    enrolment,
  );
  const cancel = systemClock.after(enrolTimeoutMs, () => link.driver.close('idle-timeout'));
  try {
    link.start();
    return await done.promise;
  } finally {
    cancel();
    link.driver.close('shutting-down');
  }
}

function keepIfWanted(received: Received, text: string): void {
  const type = documentType(text);
  if (type === 'entremise-trust+jwt') received.trust = text;
  else if (type === 'entremise-member+jwt' || type === 'entremise-invitation+jwt') received.statement = text;
}
