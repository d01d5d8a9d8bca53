import { Capture, type CaptureOptions } from './capture.ts';
import { demolish, forgetAtExit, removeAtExit, sweep } from './cleanup.ts';
import { type CommandOptions, type CommandResult, commandLine, runCommand } from './command.ts';
import { writeStateFile } from './detach.ts';
import { type DrawnEnd, drawTopology, type Topology } from './drawing.ts';
import { LabError } from './errors.ts';
import { writeEvidence } from './evidence.ts';
import { type ImpairedLink, type ImpairedLinkOptions, makeImpairedLink } from './impaired-link.ts';
import type { Impairment } from './impairment.ts';
import { checkNamespaceName } from './input.ts';
import {
  attachToBridge,
  type EndSpec,
  type Interface,
  type LinkOptions,
  makeBridge,
  makeLink,
} from './link.ts';
import { Namespace, quietStart } from './namespace.ts';
import { Program, type SpawnOptions } from './process.ts';
import { claimLabId, markDetached, netnsName } from './registry.ts';

/** What createLab takes. */
export interface LabOptions {
  /** 1 to 16 of a-z 0-9; it shows in the namespaces' names. */
  readonly name: string;
  /** Gets every command as a line, `[namespace] command`, before it runs. */
  readonly log?: (line: string) => void;
}

/** A bridge and the hosts on it. */
export interface Bridge {
  /** The bridge itself, an interface of the namespace it stands in. */
  readonly interface: Interface;
  /** The hosts' interfaces, in the order they were attached. */
  readonly hosts: readonly Interface[];
  /** Attaches one more host. @throws LabError `bad-input`, `command-failed` */
  attach(host: EndSpec): Promise<Interface>;
}

/**
 * Starts an empty lab. What earlier owners left behind when they were killed is swept first.
 *
 * @throws LabError `bad-input` for the name; `unsupported` where this process may not make namespaces.
 */
export async function createLab(options: LabOptions): Promise<Lab> {
  const labId = claimLabId(options.name);
  sweep();
  return new Lab(options.name, labId, options.log ?? (() => {}));
}

/**
 * A small internet for one test: namespaces, links, and the programs in them. It is removed by destroy(),
 * at the latest when the process ends. Made by createLab.
 */
export class Lab {
  readonly name: string;
  /** Unique on this machine; begins the name of every namespace of the lab. */
  readonly id: string;
  readonly #log: (line: string) => void;
  readonly #namespaces = new Map<string, Namespace>();
  readonly #links: (readonly [DrawnEnd, DrawnEnd])[] = [];
  readonly #programs: Program[] = [];
  readonly #underWay = new Set<Promise<unknown>>();
  readonly #impairedLinks: ImpairedLink[] = [];
  readonly #captures: Capture[] = [];
  #middles = 0;
  #over: 'destroyed' | 'detached' | undefined;

  constructor(name: string, id: string, log: (line: string) => void) {
    this.name = name;
    this.id = id;
    this.#log = log;
    removeAtExit(this);
  }

  /** The namespaces made so far, in order. */
  get namespaces(): readonly Namespace[] {
    return [...this.#namespaces.values()];
  }

  /** Makes a namespace, its lo up. @throws LabError `bad-input` for a bad or taken name, `command-failed` */
  async namespace(name: string): Promise<Namespace> {
    const netns = netnsName(this.id, checkNamespaceName(name));
    if (this.#namespaces.has(name)) throw new LabError('bad-input', `there is a namespace ${name} already`);
    const namespace = this.#newNamespace(name, netns);
    this.#namespaces.set(name, namespace);
    try {
      await this.#addNamespace(namespace);
    } catch (error) {
      this.#namespaces.delete(name);
      throw error;
    }
    await quietStart(namespace);
    return namespace;
  }

  /** Joins two namespaces by a veth pair. @throws LabError `bad-input`, `command-failed` */
  async link(a: EndSpec, b: EndSpec, options: LinkOptions = {}): Promise<[Interface, Interface]> {
    const [near, far] = await makeLink(a, b, options);
    this.#links.push([drawnEnd(near), drawnEnd(far)]);
    return [near, far];
  }

  /**
   * Joins two namespaces by a link that does to packets what it is told, both ways; what it does can be changed while it
   * runs. ARP and IPv6 neighbour discovery pass at once. A link that goes down at one end keeps its carrier at the other.
   *
   * @throws LabError `bad-input`, `command-failed`; `unsupported` where there is no C++ compiler.
   */
  async impairedLink(
    a: EndSpec,
    b: EndSpec,
    impairment: Impairment,
    options: ImpairedLinkOptions = {},
  ): Promise<ImpairedLink> {
    // No namespace of a user can begin with an underscore.
    const name = `_line${++this.#middles}`;
    const middle = this.#newNamespace(name, netnsName(this.id, name));
    await this.#addNamespace(middle);
    const link = await makeImpairedLink([a, b], impairment, middle, options);
    this.#links.push([drawnEnd(link.ends[0]), drawnEnd(link.ends[1])]);
    this.#impairedLinks.push(link);
    return link;
  }

  /** Makes a LAN: a bridge in a namespace, and hosts on it. @throws LabError `bad-input`, `command-failed` */
  async bridge(spec: EndSpec, hosts: readonly EndSpec[] = [], options: LinkOptions = {}): Promise<Bridge> {
    const bridge = await makeBridge(spec, options);
    const attached: Interface[] = [];
    let ports = 0;
    const attach = async (host: EndSpec): Promise<Interface> => {
      ports += 1;
      const end = await attachToBridge(bridge, ports, host);
      attached.push(end);
      this.#links.push([drawnEnd(end), drawnEnd(bridge)]);
      return end;
    };
    for (const host of hosts) await attach(host);
    return { interface: bridge, hosts: attached, attach };
  }

  /**
   * Keeps the last packets of an interface in memory, for {@link keepEvidence} or whoever asks.
   *
   * @throws LabError `bad-input`, `command-failed`; `unsupported` where there is no C++ compiler.
   */
  async capture(where: Interface, options: CaptureOptions = {}): Promise<Capture> {
    const capture = await Capture.start(where, options);
    this.#captures.push(capture);
    return capture;
  }

  /**
   * Writes what shows what the lab is doing into a new folder below `parent` (the system's temporary one), and gives its
   * path: conntrack tables, rules, sockets and interfaces of each namespace, what programs wrote, what became of the
   * packets of impaired links, and a pcap file for each capture.
   */
  keepEvidence(parent?: string): Promise<string> {
    const scene = {
      labId: this.id,
      drawing: this.drawing(),
      namespaces: this.namespaces,
      programs: this.#programs,
      impairedLinks: this.#impairedLinks,
      captures: this.#captures,
    };
    return writeEvidence(scene, parent);
  }

  /** What the drawing shows, as data. */
  topology(): Topology {
    const namespaces = this.namespaces.map(({ name, interfaces, notes }) => ({
      name,
      notes,
      interfaces: interfaces.map(own => ({
        name: own.name,
        addresses: own.addresses,
        note: own.drawingNote,
      })),
    }));
    return { namespaces, links: this.#links };
  }

  /** The topology as ASCII boxes, with NATs, firewalls and timers as they are now. */
  drawing(width?: number): string {
    return drawTopology(this.topology(), width);
  }

  /**
   * Removes everything: programs, namespaces, names. Commands under way fail. A second call does nothing.
   *
   * @throws LabError `left-behind`, listing what could not be removed.
   */
  async destroy(): Promise<void> {
    this.destroySync();
    if (this.#over === 'detached') return;
    // A namespace that was just being added appears only now.
    if (this.#underWay.size > 0) {
      await Promise.allSettled(this.#underWay);
      demolish(this.id, []);
    }
    await Promise.all(this.#programs.map(program => program.exited));
  }

  /** As destroy(), for where there is no event loop left. @throws LabError `left-behind` */
  destroySync(): void {
    if (this.#over !== undefined) return;
    this.#over = 'destroyed';
    forgetAtExit(this);
    demolish(
      this.id,
      this.#programs.map(program => program.identity),
    );
  }

  /** For `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.destroy();
  }

  /**
   * Leaves the lab up when this process ends. The file gets all that `teardown(stateFile)` needs. From now
   * on this object does nothing any more.
   *
   * @throws LabError `bad-input` when a program's output goes through this process (start it with
   * `outputFile`); `unsupported` in a user namespace, which ends with its processes; `state-file`.
   */
  async detach(stateFile: string): Promise<void> {
    this.#refuseIfOver();
    const running = this.#programs.filter(program => !program.exit);
    const tied = running.filter(program => program.outputFile === undefined);
    if (tied.length > 0) {
      throw new LabError('bad-input', `to outlive this process these need outputFile: ${tied.join('; ')}`);
    }
    writeStateFile(stateFile, { labId: this.id, namespaces: this.namespaces, programs: running });
    markDetached(this.id);
    this.#over = 'detached';
    forgetAtExit(this);
    for (const program of running) program.unref();
  }

  #newNamespace(name: string, netns: string): Namespace {
    return new Namespace(
      {
        run: (where, argv, shown, options) => this.#run(where, argv, shown, options),
        spawn: (where, argv, fullArgv, options) => this.#spawn(where, argv, fullArgv, options),
      },
      name,
      netns,
    );
  }

  async #addNamespace({ name, netns }: Namespace): Promise<void> {
    const added = await this.#run(name, ['ip', 'netns', 'add', netns], [`ip netns add ${netns}`]);
    if (added.code !== 0)
      throw new LabError('command-failed', `[${name}] ip netns add ${netns}: ${added.stderr.trim()}`);
  }

  async #run(
    where: string,
    argv: readonly string[],
    shown: readonly string[],
    options?: CommandOptions,
  ): Promise<CommandResult> {
    this.#refuseIfOver();
    for (const line of shown) this.#log(`[${where}] ${line}`);
    const line = shown.length > 0 ? shown.join('\n') : commandLine(argv);
    const command = runCommand(argv, options, `[${where}] ${line}`);
    this.#underWay.add(command);
    try {
      return await command;
    } finally {
      this.#underWay.delete(command);
    }
  }

  #spawn(
    where: string,
    argv: readonly string[],
    fullArgv: readonly string[],
    options: SpawnOptions,
  ): Program {
    this.#refuseIfOver();
    this.#log(`[${where}] ${commandLine(argv)} &`);
    const program = new Program(where, argv, fullArgv, options);
    this.#programs.push(program);
    return program;
  }

  #refuseIfOver(): void {
    if (this.#over !== undefined) throw new LabError('destroyed', `lab ${this.id} has been ${this.#over}`);
  }
}

function drawnEnd(end: Interface): DrawnEnd {
  return { namespace: end.namespace.name, interface: end.name };
}
