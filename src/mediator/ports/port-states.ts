import type { ErrorCode } from '../../base/errors.ts';
import type { PortState } from '../../wire/messages/command.ts';

/**
 * The states of a port and what each command means in each (P5.7). The table is complete by its type: a state or a
 * command more does not compile without its answers.
 *
 *   TCP   opened --CONNECT--> connecting --ok--> client --stream forgotten--> closed
 *           ^ \                   | failed (number kept)
 *           |  \<-----------------+
 *           |   \--LISTEN--> starting --ok--> server
 *           +------------------+ failed
 *         from anywhere: CLOSE reset --> closed; CLOSE drain --> draining (while streams live) --> closed
 *   UDP   opened --REDIRECT--> redirected --REDIRECT back--> opened; from anywhere: CLOSE --> closed
 */

/** The states of a TCP port as the mediator knows them; the wire knows fewer ({@link wireStateOf}). */
export type TcpCondition = 'opened' | 'connecting' | 'client' | 'starting' | 'server' | 'draining' | 'closed';

/** The states of a UDP port. */
export type UdpCondition = 'opened' | 'redirected' | 'closed';

/** Protocol and state. */
export type PortCondition = `tcp ${TcpCondition}` | `udp ${UdpCondition}`;

/** The commands that name a port. */
export type PortVerb = 'connect' | 'listen' | 'close' | 'redirect' | 'redirect back';

/** Whether a command runs, or why not: a code of the catalogue and one sentence. */
export type PortAnswer = 'run' | { readonly code: ErrorCode; readonly message: string };

function wrongState(message: string): PortAnswer {
  return { code: 'wrong-state', message };
}

/** The answer for a port that this attachment does not have, whoever else may have it. */
export const noSuchPort: PortAnswer = {
  code: 'no-such-port',
  message:
    'This attachment has no port with that id; OPEN gives ids, and a port that was closed loses its own.',
};

const notForTcp = wrongState('REDIRECT is for UDP; OPEN or REDIRECT a UDP port for datagrams.');

/** What a TCP port says to both. */
const noRedirect = { redirect: notForTcp, 'redirect back': notForTcp };

const gone = {
  connect: noSuchPort,
  listen: noSuchPort,
  close: noSuchPort,
  redirect: noSuchPort,
  'redirect back': noSuchPort,
};

const onlyTcp = 'a UDP port sends and receives datagrams as it is; OPEN a TCP port for this';

/** The answer to each command in each state. */
export const portAnswers: Readonly<Record<PortCondition, Readonly<Record<PortVerb, PortAnswer>>>> = {
  'tcp opened': { connect: 'run', listen: 'run', close: 'run', ...noRedirect },
  'tcp connecting': {
    connect: wrongState('The port is connecting already; wait for that RESULT, or OPEN another port.'),
    listen: wrongState('The port is connecting; wait for that RESULT, or OPEN another port.'),
    close: 'run',
    ...noRedirect,
  },
  'tcp client': {
    connect: wrongState('The port is a connection already; OPEN another port for another connection.'),
    listen: wrongState('The port is a connection and cannot listen; OPEN another port.'),
    close: 'run',
    ...noRedirect,
  },
  'tcp starting': {
    connect: wrongState('The port is about to listen and cannot connect; OPEN another port.'),
    listen: wrongState('The port is about to listen already.'),
    close: 'run',
    ...noRedirect,
  },
  'tcp server': {
    connect: wrongState('The port listens and cannot connect; OPEN another port.'),
    listen: wrongState('The port listens already.'),
    close: 'run',
    ...noRedirect,
  },
  'tcp draining': {
    connect: wrongState('The port is being closed; OPEN another port.'),
    listen: wrongState('The port is being closed; OPEN another port.'),
    close: 'run',
    ...noRedirect,
  },
  'tcp closed': gone,
  'udp opened': {
    connect: wrongState(`CONNECT is for TCP: ${onlyTcp}.`),
    listen: wrongState(`LISTEN is for TCP: ${onlyTcp}.`),
    close: 'run',
    redirect: 'run',
    'redirect back': wrongState('The port is not redirected; its datagrams go over the TCP channel.'),
  },
  'udp redirected': {
    connect: wrongState(`CONNECT is for TCP: ${onlyTcp}.`),
    listen: wrongState(`LISTEN is for TCP: ${onlyTcp}.`),
    close: 'run',
    redirect: wrongState(
      'The port is redirected already; REDIRECT with `back` makes it an opened one again.',
    ),
    'redirect back': 'run',
  },
  'udp closed': gone,
};

const wireStates: Readonly<Record<TcpCondition, PortState>> = {
  opened: 'opened',
  connecting: 'client',
  client: 'client',
  starting: 'server',
  server: 'server',
  draining: 'closed',
  closed: 'closed',
};

/** The state as QUERY tells it: what is under way counts as done. */
export function wireStateOf(condition: TcpCondition): PortState {
  return wireStates[condition];
}
