import { execFile } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { hostname } from 'node:os';
import type { ServerAddress } from '../policy/server-address.ts';

/** Where syslog is: a socket of this machine, or a server that takes it by UDP (RFC 5426). */
export type SyslogTarget = { readonly socket: string } | { readonly server: ServerAddress };

/** Facility "log audit", severity "notice" (RFC 5424 §6.2.1). */
const priority = 13 * 8 + 5;

const logger = 'logger';

/** A message by RFC 5424, without structured data. */
export function syslogLine(text: string, time: Date): string {
  return `<${priority}>1 ${time.toISOString()} ${hostname()} entremise-server ${process.pid} audit-head - ${text}`;
}

function sendTo({ host, number }: ServerAddress, line: string): Promise<void> {
  return lookup(host).then(
    ({ address, family }) =>
      new Promise((resolve, reject) => {
        const socket = createSocket(family === 6 ? 'udp6' : 'udp4');
        const end = (error: Error | null) => {
          socket.close();
          if (error === null) resolve();
          else reject(error);
        };
        socket.once('error', end);
        socket.send(line, number, address, end);
      }),
  );
}

/** Node has no datagram sockets in the file system; util-linux has a program for it. */
function sendByProgram(socket: string, text: string): Promise<void> {
  const words = [
    '--socket-errors=on',
    '--socket',
    socket,
    '--tag',
    'entremise-server',
    '--priority',
    'security.notice',
    '--',
    text,
  ];
  return new Promise((resolve, reject) =>
    execFile(logger, words, error => (error === null ? resolve() : reject(error))),
  );
}

/** Sends one line to syslog. @throws what sending fails with; by UDP nobody says whether it has come */
export function sendToSyslog(target: SyslogTarget, text: string, time: Date): Promise<void> {
  if ('socket' in target) return sendByProgram(target.socket, text);
  return sendTo(target.server, syslogLine(text, time));
}
