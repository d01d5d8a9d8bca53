import test from 'ava';
import type { ErrorCode } from '../base/errors.ts';
import { type AttachmentName, AttachmentRegistry, type Registered } from './attachment-registry.ts';

class Fake implements Registered {
  readonly name: AttachmentName;
  adoptedFrom: readonly AttachmentName[] = [];
  suspended = false;
  ended: ErrorCode | undefined;
  private readonly registry: AttachmentRegistry<Fake>;

  constructor(registry: AttachmentRegistry<Fake>, name: AttachmentName) {
    this.registry = registry;
    this.name = name;
  }

  suspend(): this {
    this.suspended = true;
    this.registry.onSuspended(this);
    return this;
  }

  end(code: ErrorCode): void {
    this.ended = code;
    this.registry.delete(this);
  }
}

function nameOf(key: number, id: number, instance = 1, attempt = 1): AttachmentName {
  const bytes = (value: number, length: number) => new Uint8Array(length).fill(value);
  return {
    terminalKey: bytes(key, 32),
    attachmentId: bytes(id, 16),
    instance: bytes(instance, 16),
    attempt,
  };
}

function registryOf() {
  const registry = new AttachmentRegistry<Fake>();
  const add = (key: number, id: number) => {
    const name = nameOf(key, id);
    registry.admit(name);
    const made = new Fake(registry, name);
    registry.add(made);
    return made;
  };
  return { registry, add };
}

test('P4.2: an attempt must be above the newest of its process; another process must wait until this one is away', t => {
  const { registry, add } = registryOf();
  const first = add(1, 1);
  t.is(registry.admit(nameOf(1, 1, 1, 2)), first);
  t.is(registry.admit(nameOf(1, 2)), undefined);
  t.is(registry.admit(nameOf(2, 1)), undefined);
  t.throws(() => registry.admit(nameOf(1, 1, 1, 1)), { code: 'in-use' });
  t.throws(() => registry.admit(nameOf(1, 1, 2, 9)), { code: 'in-use' });
  first.suspend();
  t.throws(() => registry.admit(nameOf(1, 1, 1, 1)), { code: 'in-use' });
  t.is(registry.admit(nameOf(1, 1, 2, 1)), first);
});

test('P4.6: a process whose attachment another has adopted may adopt it in its turn, but not go on with it', t => {
  const { registry, add } = registryOf();
  const first = add(1, 1);
  first.adoptedFrom = [nameOf(1, 1, 7, 3), nameOf(1, 1, 8, 1)];
  for (const suspend of [false, true]) {
    if (suspend) first.suspend();
    t.throws(() => registry.admit(nameOf(1, 1, 7, 4)), { code: 'terminal-restarted' });
    t.throws(() => registry.admit(nameOf(1, 1, 8, 2)), { code: 'terminal-restarted' });
  }
  t.is(registry.admit(nameOf(1, 1, 7, 1)), first);
});

test('P4.6: a mediator has 16 attachments; one more takes the place of the one suspended longest, or of none', t => {
  const { registry, add } = registryOf();
  const all = Array.from({ length: 16 }, (_, key) => add(key, 1));
  t.throws(() => add(99, 1), { code: 'limit' });
  all[7]?.suspend();
  all[3]?.suspend();
  add(100, 1);
  t.is(all[7]?.ended, 'terminal-gone');
  t.is(all[3]?.ended, undefined);
  add(101, 1);
  t.is(all[3]?.ended, 'terminal-gone');
  t.throws(() => add(102, 1), { code: 'limit' });
  t.is(registry.all.length, 16);
});

test('P4.6: of a key 4 attachments may be suspended, whoever else is', t => {
  const { registry, add } = registryOf();
  const of = (key: number, ids: number[]) => ids.map(id => add(key, id).suspend());
  const [resumed, first] = of(1, [1, 2, 3]);
  of(2, [1, 2, 3, 4]);
  if (resumed === undefined) return t.fail();
  resumed.suspended = false;
  registry.onResumed(resumed);
  of(1, [4, 5]);
  t.is(first?.ended, undefined);
  of(1, [6]);
  t.is(first?.ended, 'terminal-gone');
  resumed.suspend();
  t.is(resumed.ended, undefined);
  t.is(registry.suspended.length, 8);
});
