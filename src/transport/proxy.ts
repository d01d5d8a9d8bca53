import type { Socket } from 'node:net';
import { EntremiseError } from '../base/errors.ts';

/** An HTTP proxy through which a network wants its connections to go (RFC 9110 §9.3.6, CONNECT). */
export interface HttpProxy {
  readonly host: string;
  readonly port: number;
  /** `name:password`, as Basic credentials (RFC 7617). */
  readonly credentials: string | undefined;
}

/** What a proxy says before the connection is through is no longer than this. */
const longestHeadBytes = 16 * 1024;

/**
 * Reads `http://proxy.example:3128` or `http://name:password@proxy.example:3128`; without a number it is 8080.
 * @throws EntremiseError `bad-config`
 */
export function parseProxy(text: string): HttpProxy {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== 'http:' || url.hostname === '' || !/^\/?$/.test(url.pathname)) {
    const message =
      'The proxy is to be written like http://proxy.example:3128 or http://name:password@proxy.example:3128.';
    throw new EntremiseError('bad-config', { message });
  }
  const secret = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
  return {
    host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
    port: url.port === '' ? 8080 : Number(url.port),
    credentials: secret === ':' ? undefined : secret,
  };
}

function request(target: string, { credentials }: HttpProxy): string {
  const basic =
    credentials && `Proxy-Authorization: Basic ${Buffer.from(credentials).toString('base64')}\r\n`;
  return `CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n${basic ?? ''}\r\n`;
}

function refusal(status: number): string {
  // 401 is for servers (RFC 9110 §15.5.2); tinyproxy says it to who has the wrong password.
  if (status === 407 || status === 401) return `it wants a name and a password, or other ones (${status})`;
  if (status === 403) return 'it does not allow that server or that port (403)';
  return `it answers ${status}`;
}

/** Reads to the end of the proxy's answer and gives its status; nobody else may have said anything before we do. */
function answerOf(socket: Socket): Promise<number> {
  return new Promise((resolve, reject) => {
    let head = Buffer.alloc(0);
    const onEnd = () => reject(new Error('it closed the connection'));
    const onData = (piece: Buffer) => {
      head = Buffer.concat([head, piece]);
      const end = head.indexOf('\r\n\r\n');
      if (end < 0 && head.length <= longestHeadBytes) return;
      socket.pause().off('data', onData).off('end', onEnd).off('error', reject);
      const status = /^HTTP\/1\.[01] (\d{3})/.exec(head.toString('latin1'))?.[1];
      if (status === undefined || end < 0) return reject(new Error('it does not speak HTTP'));
      if (Number(status) < 300 && end + 4 < head.length) return reject(new Error('it speaks in between'));
      resolve(Number(status));
    };
    socket.on('data', onData).once('end', onEnd).once('error', reject);
  });
}

/**
 * Asks a proxy, to which `socket` is connected, for a way to `target` (`host:number`).
 * @throws EntremiseError `server-unreachable`, saying what the proxy says
 */
export async function throughProxy(socket: Socket, proxy: HttpProxy, target: string): Promise<void> {
  let reason: string;
  try {
    socket.write(request(target, proxy));
    const status = await answerOf(socket);
    if (status >= 200 && status < 300) return;
    reason = refusal(status);
  } catch (thrown) {
    reason = thrown instanceof Error ? thrown.message : String(thrown);
  }
  const message = `The proxy ${proxy.host}:${proxy.port} gives no way to ${target}: ${reason}.`;
  throw new EntremiseError('server-unreachable', { message });
}
