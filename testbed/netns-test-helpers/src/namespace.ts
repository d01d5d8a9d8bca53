import { type CommandOptions, type CommandResult, commandFailed, commandLine } from './command.ts';
import { type ConntrackEntry, type ConntrackTimers, conntrackSysctls, parseConntrack } from './conntrack.ts';
import { LabError } from './errors.ts';
import { forgeResets } from './firewall.ts';
import { checkAddress, checkCidr, checkPorts, checkWhole, sysctlPath } from './input.ts';
import { defaultRouteLine, type Interface } from './link.ts';
import { type ListeningProtocol, untilListening } from './listening.ts';
import type { Program, SpawnOptions } from './process.ts';
import { type AppliedRules, countHits, describeRules, nftCommands, type Rules } from './rules.ts';
import { until } from './wait.ts';

/** What a namespace needs of its lab. */
export interface NamespaceHost {
  /** Runs a command to its end; `shown` are the lines that the log gets (none: not echoed). */
  run(
    where: string,
    argv: readonly string[],
    shown: readonly string[],
    options?: CommandOptions,
  ): Promise<CommandResult>;
  /** Starts a program that the lab ends. */
  spawn(where: string, argv: readonly string[], fullArgv: readonly string[], options: SpawnOptions): Program;
}

/** A host of the lab: a network namespace with its interfaces, rules and programs. Made by `Lab.namespace`. */
export class Namespace {
  /** Its name in the lab. */
  readonly name: string;
  /** Its name for `ip netns exec`. */
  readonly netns: string;
  /** Its interfaces save lo, in the order made. */
  readonly interfaces: Interface[] = [];
  readonly #host: NamespaceHost;
  readonly #notes = new Map<string, string>();
  #tables = 0;

  constructor(host: NamespaceHost, name: string, netns: string) {
    this.#host = host;
    this.name = name;
    this.netns = netns;
  }

  /** The file that stands for the namespace, for setns(2) and nsenter. */
  get path(): string {
    return `/run/netns/${this.netns}`;
  }

  /** What the drawing says below the interfaces. */
  get notes(): readonly string[] {
    return [...this.#notes.values()];
  }

  /** Adds a line to the box in the drawing; the same key again replaces it. */
  note(key: string, text: string): void {
    this.#notes.set(key, text);
  }

  /** Runs a short command inside and gives its outcome, whatever the exit code. */
  exec(argv: readonly string[], options?: CommandOptions): Promise<CommandResult> {
    return this.#host.run(this.name, this.#inside(argv), [commandLine(argv)], options);
  }

  /** Runs a short command that must succeed; gives its stdout. @throws LabError `command-failed`, with its stderr */
  async run(argv: readonly string[], options?: CommandOptions): Promise<string> {
    return this.#must(this.#inside(argv), [commandLine(argv)], options);
  }

  /** As `run`, without an echo in the log: for what is asked again and again while waiting. */
  async query(argv: readonly string[], options?: CommandOptions): Promise<string> {
    const result = await this.#host.run(this.name, this.#inside(argv), [], options);
    if (result.code !== 0) throw commandFailed(commandLine(argv), this.name, result);
    return result.stdout;
  }

  /** Starts a program inside; the lab kills it at the latest when it is destroyed. @throws LabError `command-failed` */
  spawn(argv: readonly string[], options: SpawnOptions = {}): Program {
    return this.#host.spawn(this.name, argv, this.#inside(argv), options);
  }

  /** Runs a script inside, with the Node that runs this. @throws LabError `command-failed` */
  node(scriptPath: string, args: readonly string[] = [], options: SpawnOptions = {}): Program {
    return this.spawn([process.execPath, scriptPath, ...args], options);
  }

  /** `ip` commands (without the word ip), in one go. @throws LabError `command-failed`, naming the line */
  async ip(...lines: readonly string[]): Promise<void> {
    await this.#batch('ip', lines);
  }

  /** `tc` commands (without the word tc), in one go. @throws LabError `command-failed`, naming the line */
  async tc(...lines: readonly string[]): Promise<void> {
    await this.#batch('tc', lines);
  }

  /**
   * Sets sysctls of this namespace; names in dots, or in slashes where a part holds a dot.
   *
   * @throws LabError `bad-input`; `command-failed` where the kernel has no such sysctl or refuses the value.
   */
  async sysctl(values: Readonly<Record<string, string | number>>): Promise<void> {
    const pairs = Object.entries(values).flatMap(([name, value]) => [sysctlPath(name), String(value)]);
    const shown = Object.entries(values).map(([name, value]) => `sysctl -w ${name}=${value}`);
    // /proc/sys/net shows the namespace of who opens it, so a shell inside is all that is needed.
    const script = 'while [ $# -gt 1 ]; do printf %s "$2" >"/proc/sys/$1" || exit 1; shift 2; done';
    await this.#must(this.#inside(['sh', '-c', script, 'sysctl', ...pairs]), shown);
  }

  /** Makes it a router, for IPv4 and IPv6. @throws LabError `command-failed` */
  async enableForwarding(): Promise<void> {
    await this.sysctl({ 'net.ipv4.ip_forward': 1, 'net.ipv6.conf.all.forwarding': 1 });
  }

  /** Adds or replaces a route; `to` is a network or `default`. @throws LabError `bad-input`, `command-failed` */
  async route(to: string, via: string): Promise<void> {
    checkAddress(via);
    await this.ip(to === 'default' ? defaultRouteLine(via) : `route replace ${checkCidr(to)} via ${via}`);
  }

  /** Puts a NAT or firewall in force; several add up. @throws LabError `command-failed`, with nft's message */
  async apply(rules: Rules): Promise<AppliedRules> {
    this.#tables += 1;
    const table = `lab${this.#tables}`;
    await this.#nft(nftCommands(rules, table));
    this.#notes.set(table, describeRules(rules));
    return {
      rules,
      hits: async () => countHits(await this.query(['nft', 'list', 'table', 'inet', table])),
      remove: async () => {
        if (this.#notes.delete(table)) await this.#nft([`delete table inet ${table}`]);
      },
    };
  }

  /** Sets conntrack timers. @throws LabError `bad-input`, `command-failed` */
  async setConntrackTimers(timers: ConntrackTimers): Promise<void> {
    await this.sysctl(conntrackSysctls(timers));
    for (const [timer, seconds] of Object.entries(timers)) {
      this.#notes.set(timer, `conntrack ${timer.replace(/Seconds$/, '')} ${seconds} s`);
    }
  }

  /** What the namespace tracks now, IPv4 and IPv6. @throws LabError `command-failed` */
  async conntrackTable(): Promise<ConntrackEntry[]> {
    return parseConntrack(await this.query(['conntrack', '-L']));
  }

  /** Forgets every tracked connection, as a NAT does that restarts. @throws LabError `command-failed` */
  async flushConntrack(): Promise<void> {
    await this.run(['conntrack', '-F']);
  }

  /**
   * Tears TCP connections that pass down, once: the next packet of one is answered with a forged RST, as firewalls do
   * that have lost their state. Gives how many packets were answered.
   *
   * @throws LabError `bad-input`, `command-failed`; `deadline` when none has passed within `deadlineMs` (10,000).
   */
  async resetConnections(
    options: {
      readonly ports?: readonly number[];
      readonly outside?: string;
      readonly deadlineMs?: number;
    } = {},
  ): Promise<number> {
    const { deadlineMs = 10_000, ...which } = options;
    const forged = await this.apply(forgeResets(which));
    try {
      const what = `a TCP packet to pass through ${this.name}`;
      return await until(() => forged.hits(), { what, deadlineMs, intervalMs: 5 });
    } finally {
      await forged.remove();
    }
  }

  /**
   * Kills the TCP connections of programs inside that have one of these ports at either end, as an administrator does by
   * `ss -K`: the program gets ECONNABORTED, the other end a RST. Gives how many there were.
   *
   * @throws LabError `bad-input`, `command-failed`; `unsupported` where the kernel cannot destroy sockets.
   */
  async killConnections(ports: readonly number[]): Promise<number> {
    const ends = checkPorts(ports).flatMap(port => [`sport = :${port}`, `dport = :${port}`]);
    const which = ['--tcp', '--numeric', '--no-header', 'state', 'connected', `( ${ends.join(' or ')} )`];
    const count = (printed: string) => printed.split('\n').filter(line => line !== '').length;
    const there = count(await this.query(['ss', ...which]));
    const killed = count(await this.run(['ss', '--kill', ...which]));
    if (there > 0 && killed === 0)
      throw new LabError('unsupported', 'this kernel cannot destroy sockets (CONFIG_INET_DIAG_DESTROY)');
    return killed;
  }

  /** Waits until something inside listens on the port. @throws LabError `deadline`, with what does listen */
  async untilListening(protocol: ListeningProtocol, port: number, deadlineMs = 10_000): Promise<void> {
    checkWhole(port, 'port', 1, 65_535);
    await untilListening(() => this.#socketTables(), this.name, protocol, port, deadlineMs);
  }

  toString(): string {
    return this.name;
  }

  async #socketTables(): Promise<string> {
    // Without IPv6 in the kernel cat complains about two of the files: what it could read is enough.
    const files = ['tcp', 'tcp6', 'udp', 'udp6'].map(table => `/proc/net/${table}`);
    const argv = this.#inside(['grep', '-H', ':', ...files]);
    return (await this.#host.run(this.name, argv, [])).stdout;
  }

  #inside(argv: readonly string[]): string[] {
    return ['nsenter', `--net=${this.path}`, '--', ...argv];
  }

  async #nft(commands: readonly string[]): Promise<void> {
    const shown = commands.map(command => `nft ${command}`);
    await this.#must(this.#inside(['nft', '-f', '-']), shown, { input: `${commands.join('\n')}\n` });
  }

  async #batch(tool: 'ip' | 'tc', lines: readonly string[]): Promise<void> {
    const shown = lines.map(line => `${tool} ${line}`);
    await this.#must([tool, '-n', this.netns, '-batch', '-'], shown, { input: `${lines.join('\n')}\n` });
  }

  async #must(argv: readonly string[], shown: readonly string[], options?: CommandOptions): Promise<string> {
    const result = await this.#host.run(this.name, argv, shown, options);
    if (result.code === 0) return result.stdout;
    // ip and tc name only the number of the line that failed.
    const failedLine = shown[Number(/Command failed -:(\d+)/.exec(result.stderr)?.[1] ?? 0) - 1];
    throw commandFailed(failedLine ?? shown.join('\n'), this.name, result);
  }
}

/**
 * Addresses are usable at once and survive a link going down; nothing is sent that no test asked for
 * (router solicitations). Kernels without IPv6 have no such sysctls, and need none.
 */
export async function quietStart(namespace: Namespace): Promise<void> {
  await namespace.ip('link set dev lo up');
  const wanted = { accept_dad: 0, accept_ra: 0, router_solicitations: 0, keep_addr_on_down: 1 };
  const settings = Object.entries(wanted).flatMap(([key, value]) =>
    ['all', 'default'].map(scope => `echo ${value} >/proc/sys/net/ipv6/conf/${scope}/${key}`),
  );
  await namespace.query(['sh', '-c', `[ ! -d /proc/sys/net/ipv6 ] || { ${settings.join(' && ')}; }`]);
}
