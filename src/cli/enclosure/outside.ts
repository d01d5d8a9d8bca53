import { type ChildProcess, spawn } from 'node:child_process';
import type { Server } from 'node:net';
import process from 'node:process';
import type { Duplex } from 'node:stream';
import { deferred } from '../../base/deferred.ts';
import { EntremiseError } from '../../base/errors.ts';
import { type FromInside, insideWord, isMessage, type ToInside } from './enclosure-messages.ts';
import { PacketPipe, type PipedPacket } from './packet-pipe.ts';
import { requireTools, type Tool } from './tools.ts';

/** Namespaces that are furnished, with nothing of the user's in them yet. */
export interface Enclosure {
  /** Accepts the command's connections, each at the address that it asked for. */
  readonly listener: Server;
  /** Gives a packet to the command's kernel; `note` is its mark. */
  inject(packet: Uint8Array, note: number): void;
  /** Runs the command. @throws EntremiseError `internal` when the process inside has died */
  run(words: readonly string[]): Promise<number>;
  signal(signal: NodeJS.Signals): void;
  /** Ends everything in there. */
  close(): void;
}

/** Root needs no user namespace; an ordinary user makes one, in which it may make the others. */
const isRoot = () => process.getuid?.() === 0;

/** The first process of a process namespace must wait for those whose parents have gone, which a shell does. */
const firstProcess = ['sh', '-c', '"$@"; exit $?', 'sh'];

/**
 * Words that run what follows them in new namespaces. Should this process be killed, the kernel kills the one that waits
 * (its signal of a parent's death), and with that one the first process inside, and with that one all the others.
 */
function namespaceWords(pathOf: (tool: Tool) => string): string[] {
  const own = isRoot() ? [] : ['--user', '--map-root-user'];
  const kinds = ['--net', '--mount', '--pid', '--fork', '--kill-child'];
  const guarded = [pathOf('setpriv'), '--pdeathsig', 'KILL', '--'];
  return [...guarded, pathOf('unshare'), ...own, ...kinds, '--', ...firstProcess];
}

/** What to do where no namespaces can be made. */
const advice = isRoot()
  ? 'this process may make none, as in most containers: give it CAP_SYS_ADMIN, or use entremise socks.'
  : 'run it as root; or let users make them: sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone=1, on Ubuntu kernel.apparmor_restrict_unprivileged_userns=0. Without: entremise socks.';

/**
 * Makes the namespaces. `onPacket` gets what begins in there.
 * @throws EntremiseError `environment-unfit` with what this machine refuses
 */
export async function openEnclosure(onPacket: (piped: PipedPacket) => void): Promise<Enclosure> {
  const [file = '', ...rest] = namespaceWords(requireTools());
  const words = [...rest, process.execPath, process.argv[1] ?? '', insideWord];
  const child = spawn(file, words, { stdio: ['inherit', 'inherit', 'inherit', 'ipc', 'pipe'] });
  const pipe = new PacketPipe(child.stdio[4] as Duplex, onPacket);
  const inside = new Inside(child);
  const listener = await inside.listener.promise;
  return {
    listener,
    inject: (packet, note) => pipe.send({ note, packet }),
    run: commandWords => inside.run(commandWords),
    signal: signal => inside.send({ kind: 'signal', signal }),
    close: () => {
      listener.close();
      inside.end();
    },
  };
}

/** The process inside, as seen from here. */
class Inside {
  readonly listener = deferred<Server>();
  private readonly child: ChildProcess;
  private readonly ended = deferred<number>();

  constructor(child: ChildProcess) {
    this.child = child;
    this.ended.promise.catch(() => {});
    child.on('message', (message, handle) => {
      if (isMessage(message)) this.onMessage(message as FromInside, handle as Server | undefined);
    });
    child.on('error', error => this.fail(error.message, advice));
    child.on('exit', (code, signal) => this.fail(`it ended early, ${signal ?? `exit code ${code}`}`, advice));
  }

  private onMessage(message: FromInside, handle: Server | undefined): void {
    if (message.kind === 'ended') this.ended.resolve(message.code);
    else if (message.kind === 'failed')
      this.fail(message.message, isRoot() ? 'without: entremise socks.' : advice);
    else if (handle !== undefined) this.listener.resolve(handle);
  }

  /** After the one is settled, and the other, this changes nothing. */
  private fail(why: string, whatToDo: string): void {
    const message = `Cannot make a network of its own for the command (${why}): ${whatToDo}`;
    this.listener.reject(new EntremiseError('environment-unfit', { message }));
    const died = `The process that keeps the command's network has gone: ${why}.`;
    this.ended.reject(new EntremiseError('internal', { message: died }));
  }

  send(message: ToInside): void {
    if (this.child.connected) this.child.send(message, () => {});
  }

  run(words: readonly string[]): Promise<number> {
    const { getuid, getgid } = process;
    const identity =
      isRoot() || getuid === undefined || getgid === undefined ? undefined : { uid: getuid(), gid: getgid() };
    this.send({ kind: 'run', words, identity });
    return this.ended.promise;
  }

  end(): void {
    if (this.child.connected) this.child.disconnect();
  }
}
