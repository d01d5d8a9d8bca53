import { parseUci } from '../../src/mediator/uci/uci-text.ts';
import type { Router } from './router.ts';

/** rpcd's `uci` object for one configuration: what is staged is written when it is committed. */

/** A section as `uci get` gives it: options, and what it is under names that begin with a dot. */
type Section = Record<string, string | readonly string[] | boolean | number>;

/** What is asked for, as LuCI's uci.js words it. */
export interface UciRequest {
  readonly config: string;
  readonly type?: string;
  readonly name?: string;
  readonly section?: string;
  readonly options?: readonly string[] | null;
  readonly values?: Readonly<Record<string, string | readonly string[]>>;
}

const quoted = (text: unknown) => `'${String(text).replaceAll("'", "'\\''")}'`;

function linesOf(section: Section): string[] {
  const head = section['.anonymous'] === true ? '' : ` ${quoted(section['.name'])}`;
  const options = Object.entries(section).flatMap(([name, value]) => {
    if (name.startsWith('.')) return [];
    if (Array.isArray(value)) return value.map(each => `\tlist ${name} ${quoted(each)}`);
    return [`\toption ${name} ${quoted(value)}`];
  });
  return ['', `config ${section['.type']}${head}`, ...options];
}

/** See the head of this file. */
export class UciStore {
  private readonly router: Router;
  private readonly path: string;
  private sections = new Map<string, Section>();

  constructor(router: Router, path: string) {
    this.router = router;
    this.path = path;
    this.read();
  }

  private read(): void {
    const entries = parseUci(this.router.read(this.path), this.path).map(
      ({ type, name, values }, index): [string, Section] => {
        const known = name ?? `cfg${index}`;
        const about = { '.anonymous': name === undefined, '.type': type, '.name': known, '.index': index };
        return [known, { ...about, ...Object.fromEntries(values) }];
      },
    );
    this.sections = new Map(entries);
  }

  /** Carries out a method; what it answers, undefined when there is no such method or section. */
  call(method: string, { type = '', name = '', section = '', ...request }: UciRequest): object | undefined {
    const found = this.sections.get(section);
    switch (method) {
      case 'get':
        return { values: Object.fromEntries(this.sections) };
      case 'changes':
        return { changes: {} };
      case 'add':
        return { section: this.add(type, name, request.values) };
      case 'set':
        return found && Object.assign(found, request.values) && {};
      case 'delete':
        if (request.options) for (const option of request.options) delete found?.[option];
        else this.sections.delete(section);
        return found && {};
      case 'order':
        return {};
      default:
        return undefined;
    }
  }

  private add(type: string, name: string, values: UciRequest['values']): string {
    const index = this.sections.size;
    const known = name === '' ? `cfg${index}` : name;
    const about = { '.anonymous': name === '', '.type': type, '.name': known, '.index': index };
    this.sections.set(known, { ...about, ...values });
    return known;
  }

  /** Writes what is staged. */
  commit(): void {
    this.router.write(this.path, `${[...this.sections.values()].flatMap(linesOf).join('\n')}\n`);
    this.read();
  }
}
