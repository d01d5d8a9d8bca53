import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { until } from './test-operator.ts';

/** What a server uses, as it says itself; times in milliseconds of processor since it began. */
export interface Usage {
  readonly heapUsed: number;
  readonly rss: number;
  readonly cpuMs: number;
  readonly members: number;
  readonly attachments: number;
  readonly queuedBytes: number;
}

/** A server in a process of its own, on a state that exists. */
export class SpawnedServer {
  readonly child: ChildProcess;
  readonly logged: Record<string, unknown>[] = [];
  /** What it wrote to stderr besides its log: nothing, unless it broke. */
  readonly complaints: string[] = [];
  port = 0;
  private readonly answers: string[] = [];

  private constructor(stateDir: string) {
    const program = fileURLToPath(new URL('./server-process.js', import.meta.url));
    this.child = spawn(process.execPath, ['--expose-gc', program, stateDir], { stdio: 'pipe' });
    const { stdout, stderr } = this.child;
    if (stdout === null || stderr === null) throw new Error('no pipes');
    createInterface({ input: stdout }).on('line', line => this.answers.push(line));
    createInterface({ input: stderr }).on('line', line => {
      if (line.startsWith('{')) this.logged.push(JSON.parse(line));
      else this.complaints.push(line);
    });
  }

  /** Starts one; killed after the test if it did not end before. */
  static async start(
    t: { teardown(run: () => Promise<void>): void },
    stateDir: string,
  ): Promise<SpawnedServer> {
    const server = new SpawnedServer(stateDir);
    t.teardown(() => server.kill());
    const { port } = (await server.answer()) as { port: number };
    server.port = port;
    return server;
  }

  private async answer(): Promise<unknown> {
    const ended = () => this.child.exitCode !== null || this.child.signalCode !== null;
    await until(() => this.answers.length > 0 || ended(), 'the server says something');
    const line = this.answers.shift();
    if (line === undefined) throw new Error(`the server has ended: ${this.complaints.join('\n')}`);
    return JSON.parse(line);
  }

  /** Gives it a word of server-process.ts; gives what it uses then. */
  async tell(words: string): Promise<Usage> {
    this.child.stdin?.write(`${words}\n`);
    return (await this.answer()) as Usage;
  }

  /** Waits until it uses less than this share of a processor. */
  async untilIdle(share: number): Promise<void> {
    for (;;) {
      const before = await this.tell('look');
      const startMs = performance.now();
      await until(() => performance.now() - startMs > 250, 'a quarter of a second later');
      const { cpuMs } = await this.tell('look');
      if (cpuMs - before.cpuMs < share * (performance.now() - startMs)) return;
    }
  }

  private async kill(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const exit = once(this.child, 'exit');
    this.child.kill('SIGKILL');
    await exit;
  }
}
