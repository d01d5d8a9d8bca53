import type { EntremiseError } from '../../../base/errors.ts';
import type { SigningKey } from '../../../base/keys.ts';
import { silentLog } from '../../../base/log.ts';
import type { AttachmentResources, Binding } from '../../../session/attachment.ts';
import { Budget } from '../../../session/budget.ts';
import type { ControlKeys } from '../../../session/control-stream.ts';
import { HopCredit } from '../../../session/hop-credit.ts';
import { MemberLink, type MemberLinkHandlers } from '../../../session/member-link.ts';
import type { LabelSource } from '../../../session/scheduler.ts';
import { SlabPool } from '../../../session/slab.ts';
import type { Stream } from '../../../session/stream.ts';
import type { Role } from '../../../wire/messages/link.ts';
import type { ModelWire } from './wire.ts';
import type { PathWorld } from './world.ts';

const log = silentLog();

/** Ends of links that no honest member and no honest server ever sees. */
const brokenRules = new Set([
  'protocol-error',
  'bad-request',
  'unsupported',
  'over-credit',
  'frame-too-large',
  'unknown-type',
  'unauthenticated',
  'proof-invalid',
  'limit',
  'internal',
  'cannot-resume',
  'stream-limit',
]);

/** @throws Error for a code that says that one of us has broken a rule */
export function mustBeHonest(code: string, where: string, cause?: unknown): void {
  if (brokenRules.has(code)) throw new Error(`${where} ended by ${code}`, { cause });
}

/** A member's process in the model: its life, its link, and the budgets of all its attachments. */
export abstract class ModelProcess {
  protected readonly world: PathWorld;
  private readonly role: Role;
  readonly key: SigningKey;
  protected instance = Buffer.alloc(16);
  private lives = 0;
  private linkNo = 0;
  alive = false;
  private wire: ModelWire | undefined;
  private current: MemberLink | undefined;
  private welcomed = false;
  resources: AttachmentResources;

  constructor(world: PathWorld, role: Role, key: SigningKey) {
    this.world = world;
    this.role = role;
    this.key = key;
    this.resources = this.freshResources();
  }

  private freshResources(): AttachmentResources {
    const { budgetBytes } = this.world;
    return {
      pool: new SlabPool(),
      receiveBudget: new Budget(budgetBytes),
      replayBudget: new Budget(budgetBytes),
      now: () => this.world.attachmentMs(),
    };
  }

  /** The link once it is welcome, or undefined. */
  get link(): MemberLink | undefined {
    return this.welcomed ? this.current : undefined;
  }

  /** Begins a life: nothing of an earlier one is there. */
  start(): void {
    if (this.alive) return;
    this.alive = true;
    this.lives++;
    this.linkNo = 0;
    this.instance = Buffer.from(this.key.publicKey.subarray(0, 16));
    this.instance.writeUInt32BE(this.lives);
    this.resources = this.freshResources();
  }

  /** The process dies on the spot. */
  die(): void {
    this.alive = false;
    this.wire?.member.die();
    this.wire = undefined;
    this.current = undefined;
    this.welcomed = false;
    this.onDeath();
  }

  /** Opens a link, if there is none and a server to open it to. */
  connect(): void {
    if (!this.alive || this.wire !== undefined) return;
    const wire = this.world.newWire(this.role);
    if (wire === undefined) return;
    this.linkNo++;
    this.wire = wire;
    const identity = {
      role: this.role,
      signer: this.key,
      instance: this.instance,
      software: 'model',
      capabilities: [],
    };
    const { clock } = this.world;
    const options = { transport: wire.member, clock, log, keepaliveMs: 25_000 };
    const handlers: MemberLinkHandlers = {
      onAttach: () => {},
      onAttached: () => {},
      onPresence: () => {},
      onStatement: () => {},
      onService: () => {},
      ...this.linkHandlers(),
      onWelcome: () => {
        this.welcomed = true;
        this.onWelcome();
      },
      onClosed: error => this.onClosed(wire, error),
    };
    this.current = new MemberLink(options, identity, this.linkNo, handlers);
    this.current.start();
  }

  private onClosed(wire: ModelWire, error: EntremiseError): void {
    this.world.note(() => mustBeHonest(error.code, `a link of a ${this.role}`, error));
    if (this.wire !== wire) return;
    this.wire = undefined;
    this.current = undefined;
    this.welcomed = false;
  }

  /** Streams of this life that have not been forgotten here. */
  protected abstract streams(): Iterable<Stream>;

  /** @throws Error when more is promised than there is, or used than was promised (P3.3) */
  checkBudgets(): void {
    const { receiveBudget, replayBudget } = this.resources;
    let [keptBytes, promisedBytes] = [0, 0];
    for (const stream of this.streams()) {
      keptBytes += stream.keptBytes;
      promisedBytes += stream.promisedBytes;
    }
    if (keptBytes > replayBudget.totalBytes - replayBudget.freeBytes)
      throw new Error(`the ${this.role} keeps more than it has reserved`);
    if (promisedBytes > receiveBudget.totalBytes - receiveBudget.freeBytes)
      throw new Error(`the ${this.role} promises more than it has reserved`);
    if (receiveBudget.freeBytes < 0 || replayBudget.freeBytes < 0)
      throw new Error(`the ${this.role} is overdrawn`);
  }

  /** @throws Error when something is left that only attachments may hold */
  checkNothingLeft(): void {
    const { receiveBudget, replayBudget } = this.resources;
    if (receiveBudget.freeBytes !== receiveBudget.totalBytes)
      throw new Error(`windows are left at the ${this.role}`);
    if (replayBudget.freeBytes !== replayBudget.totalBytes)
      throw new Error(`shares are left at the ${this.role}`);
  }

  /** What an attachment needs of a label of the link that there is now. */
  protected bindingOf(
    label: number,
    credit: number,
    keys: ControlKeys,
    tick: (nowMs: number) => void,
  ): Binding {
    const { world } = this;
    const driver = this.current?.driver;
    return {
      label,
      keys,
      credit: new HopCredit(credit),
      wake: (source: LabelSource) => driver?.scheduler.wake(source),
      requestTick: atMs => {
        const inMs = (atMs - world.attachmentMs()) / world.haste;
        // Rounded up, or it comes a breath early for ever.
        void world.clock.after(Math.ceil(inMs), () => tick(world.attachmentMs()));
      },
      roundTripMs: () => 10,
    };
  }

  protected abstract linkHandlers(): Partial<MemberLinkHandlers>;
  protected abstract onWelcome(): void;
  protected abstract onDeath(): void;
}
