import { join } from 'node:path';
import { type Authority, initAuthority, issueGrant, issueTrustStatement } from '../../src/authority/index.ts';
import { MemberDirectory } from '../../src/member/directory.ts';
import { signJws } from '../../src/policy/jws.ts';
import { memberStatementRules } from '../../src/policy/member-statement.ts';
import { putIntoInbox } from '../../src/server/inbox.ts';
import { initServer } from '../../src/server/init.ts';
import { servicePort } from '../site.ts';

/**
 * The state of a whole operator with thousands of homes, made without its programs: what each enrolment would have left
 * behind, on both sides. Every home has an address of its own, and reaches the server from it and by it: for the kernel
 * an address of its own is its own source, so the server sees as many sources as there are homes.
 */
export interface FleetSite {
  readonly directory: string;
  readonly serverState: string;
  /** Directory of a terminal that may do everything with all of them. */
  readonly terminal: string;
}

/** Label of all mediators; grants name it. */
const label = 'fleet';

/** Documents in one file of the inbox, which is read whole. */
const documentsAtOnce = 1000;

/** All addresses of homes: what the kernel is to take for its own, whole. */
export const homesNetwork = '10.77.0.0/16';

/** Addresses of those who are nobody's home. */
export const strangersNetwork = '10.78.0.0/16';

/** The address of a home: two bytes are its number. */
export function homeAddress(index: number): string {
  const number = index + 1;
  return `10.77.${number >> 8}.${number & 255}`;
}

/** The directory of a home's mediator. */
export function homeDirectory(directory: string, index: number): string {
  return join(directory, 'homes', String(index));
}

/** The name of a home's mediator. */
export function homeName(index: number): string {
  return `home-${index}`;
}

interface Founded {
  readonly authority: Authority;
  readonly pin: string;
  readonly trust: string;
  readonly nowMs: number;
  nextSeq: number;
}

/** What an enrolment leaves behind; gives the member's key and statement. */
async function enrol(
  founded: Founded,
  path: string,
  member: { readonly role: 'mediator' | 'terminal'; readonly name: string },
  address: string,
): Promise<{ readonly key: string; readonly text: string }> {
  const directory = new MemberDirectory(path);
  const { text: key } = directory.key();
  const { authority, pin, trust, nowMs } = founded;
  const labels = member.role === 'mediator' ? [label] : [];
  // As the authority does, without its lock and three files for each of thousands.
  const claims = { key, ...member, labels, seq: founded.nextSeq++, iat: Math.floor(nowMs / 1000) };
  const text = await signJws(memberStatementRules.typ, claims, authority.key);
  const servers = [`${address}:${servicePort}`];
  directory.saveMembership({ ...member, servers, serverPins: [pin], statement: text, trust });
  return { key, text };
}

/** What there is to hand to the server before it starts. */
async function enrolHomes(
  founded: Founded,
  directory: string,
  homes: number,
  progress: (line: string) => void,
): Promise<string[]> {
  const documents: string[] = [];
  for (let index = 0; index < homes; index++) {
    const member = { role: 'mediator', name: homeName(index) } as const;
    const path = homeDirectory(directory, index);
    documents.push((await enrol(founded, path, member, homeAddress(index))).text);
    if ((index + 1) % 1000 === 0) progress(`${index + 1} homes enrolled`);
  }
  return documents;
}

async function enrolTerminal(founded: Founded, path: string): Promise<string[]> {
  const { authority, nowMs } = founded;
  const { key, text } = await enrol(founded, path, { role: 'terminal', name: 'anna' }, homeAddress(0));
  const mediators = [{ labels: [label] }];
  const grant = await issueGrant(authority, { terminalKey: key, mediators, purpose: 'assistance' }, nowMs);
  return [text, grant.text];
}

/**
 * Makes the state of a server and of so many mediators, and of one terminal. `progress` is told of every thousandth home.
 */
export async function foundFleet(
  directory: string,
  homes: number,
  progress: (line: string) => void,
): Promise<FleetSite> {
  const nowMs = Date.now();
  const authority = initAuthority(join(directory, 'authority'), 'Example Telecom');
  const serverState = join(directory, 'server');
  const terminal = join(directory, 'terminal');
  const [authorityKey = ''] = authority.publicKeys;
  const listen = { host: '0.0.0.0', number: servicePort };
  const { pin } = await initServer({ stateDir: serverState, authorityKey, listen, addresses: [] });
  const { text: trust } = await issueTrustStatement(authority, { serverPins: [pin] }, nowMs);
  const founded = { authority, pin, trust, nowMs, nextSeq: 1 };
  const documents = [
    trust,
    ...(await enrolHomes(founded, directory, homes, progress)),
    ...(await enrolTerminal(founded, terminal)),
  ];
  for (let at = 0; at < documents.length; at += documentsAtOnce)
    await putIntoInbox(serverState, documents.slice(at, at + documentsAtOnce), 0);
  return { directory, serverState, terminal };
}
