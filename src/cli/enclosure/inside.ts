/**
 * The process inside the namespaces of `entremise run`: it furnishes them, hands its sockets and packets to the CLI
 * outside, and runs the command. The first process of its process namespace waits for it: when it ends, for whatever reason,
 * that one does, the kernel kills all that is in there, and the namespaces are gone.
 *
 * It can reach nothing itself; everything that leaves goes through the CLI outside, and through its attachment.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import net, { type Server } from 'node:net';
import { constants, networkInterfaces } from 'node:os';
import process from 'node:process';
import { requireAddon } from '../../native/addon.ts';
import { fdOf } from '../../native/fd-of.ts';
import { badUsage } from '../output.ts';
import { type FromInside, type Identity, isMessage, type ToInside } from './enclosure-messages.ts';
import { furnishNames, furnishNetwork } from './furnish.ts';
import { PacketPipe } from './packet-pipe.ts';
import { requireTools } from './tools.ts';

/** The fd of the pipe for packets, given by the process outside. */
export const pipeFd = 4;

/** Connections that may wait to be taken outside. */
const backlog = 1024;

/**
 * What it does to its namespaces would be the end of a machine's own network: only where its parent is the first process, it
 * has somebody outside, and no interface is up yet.
 * @throws EntremiseError `bad-usage`
 */
function checkPlace(): void {
  const isFresh = process.ppid === 1 && process.connected && Object.keys(networkInterfaces()).length === 0;
  if (!isFresh) throw badUsage('This is a part of entremise run, which starts it where it belongs.');
}

/**
 * Runs until the command has ended; gives no exit code, since it ends the process.
 * @throws EntremiseError `bad-usage` where it does not belong
 */
export async function runInside(): Promise<never> {
  checkPlace();
  // Ctrl-C reaches every process at the terminal: what it means is the command's to say.
  for (const signal of ['SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {});
  process.on('disconnect', () => process.exit(1));
  let pipe: PacketPipe | undefined;
  try {
    pipe = await furnish();
  } catch (thrown) {
    await tell({ kind: 'failed', message: thrown instanceof Error ? thrown.message : String(thrown) });
    process.exit(1);
  }
  const code = await runCommand();
  // Its last packets are read in this turn of the loop, or the next.
  await turn();
  await turn();
  await pipe.flushed();
  await tell({ kind: 'ended', code });
  process.exit(0);
}

function tell(message: FromInside, handle?: Server): Promise<void> {
  return new Promise((resolve, reject) => {
    process.send?.(message, handle, {}, error => (error === null ? resolve() : reject(error)));
  });
}

const turn = () => new Promise(resolve => setImmediate(resolve));

/** @throws Error that says what could not be had */
async function furnish(): Promise<PacketPipe> {
  const native = requireAddon();
  const listener = await listen();
  checked('a listener for every address', native.setTransparent(fdOf(listener) ?? -1));
  await furnishNetwork((listener.address() as net.AddressInfo).port);
  await furnishNames();
  const ipv4 = checked('raw IPv4', native.openRawIp(false));
  const ipv6 = native.openRawIp(true);
  const pipe = new PacketPipe(new net.Socket({ fd: pipeFd }), ({ note, packet }) => {
    const isIpv4 = (packet[0] ?? 0) >> 4 === 4;
    if (isIpv4) native.sendMarked(ipv4, note, packet);
    else if (typeof ipv6 === 'number') native.sendMarked(ipv6, note, packet);
  });
  const watching = native.watchPackets('lo', (packet, segmentBytes) =>
    pipe.send({ note: segmentBytes, packet }),
  );
  checked('packets of the loopback interface', watching);
  await tell({ kind: 'listener' }, listener);
  listener.close();
  return pipe;
}

/** @throws Error that names the errno */
function checked<T>(what: string, answer: T | string): Exclude<T, string> {
  if (typeof answer === 'string') throw new Error(`Cannot have ${what}: ${answer}.`);
  return answer as Exclude<T, string>;
}

/** One number of both families, where there are both. */
async function listen(): Promise<Server> {
  for (const host of ['::', '0.0.0.0']) {
    const server = net.createServer();
    server.listen({ host, port: 0, backlog });
    try {
      await once(server, 'listening');
      return server;
    } catch {
      // No IPv6 here.
    }
  }
  throw new Error('Cannot listen in the new network namespace.');
}

/** The exit code of the command, as a shell tells it. */
async function runCommand(): Promise<number> {
  let child: ReturnType<typeof spawn> | undefined;
  const asked: NodeJS.Signals[] = [];
  const run = new Promise<Extract<ToInside, { kind: 'run' }>>(resolve => {
    process.on('message', (message: ToInside) => {
      if (!isMessage(message)) return;
      if (message.kind === 'run') resolve(message);
      else if (child === undefined) asked.push(message.signal);
      else child.kill(message.signal);
    });
  });
  const { words, identity } = await run;
  const [file = '', ...rest] = [...identityWords(identity), ...words];
  child = spawn(file, rest, { stdio: 'inherit' });
  for (const signal of asked) child.kill(signal);
  return new Promise(resolve => {
    child?.once('error', (error: NodeJS.ErrnoException) => {
      process.stderr.write(`entremise: ${file}: ${error.message}\n`);
      resolve(error.code === 'ENOENT' ? 127 : 126);
    });
    child?.once('exit', (code, signal) => resolve(code ?? 128 + constants.signals[signal ?? 'SIGKILL']));
  });
}

/** An ordinary user is root in here as far as needed to furnish; the command is who it would be outside. */
function identityWords(identity: Identity | undefined): string[] {
  if (identity === undefined) return [];
  const { uid, gid } = identity;
  return [requireTools()('unshare'), '--user', `--map-user=${uid}`, `--map-group=${gid}`, '--'];
}
