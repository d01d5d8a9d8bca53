import { EntremiseError } from '../../base/errors.ts';

/**
 * The text of an OpenWRT configuration file, as libuci reads it: one statement a line, words apart by blanks, `'...'` as it
 * stands, `"..."` and bare words with `\` before what is meant literally, `#` to the end of the line.
 */

/** A section: `config TYPE 'NAME'` and what follows it. */
export interface UciSection {
  readonly type: string;
  /** Undefined when it has none. */
  readonly name: string | undefined;
  /** `option` as text, `list` as texts; the last `option` of a name counts. */
  readonly values: ReadonlyMap<string, string | readonly string[]>;
}

interface Statement {
  readonly line: number;
  readonly words: readonly string[];
}

function wrong(where: string, line: number, reason: string): EntremiseError {
  return new EntremiseError('bad-config', { message: `${where}: line ${line}: ${reason}.` });
}

/** One pattern for each thing that may stand next in a line. */
const blank = /[ \t\r]+/y;
const comment = /#[^\n]*/y;
const end = /[\n;]/y;
const piece = /'([^']*)'|"((?:[^"\\]|\\[\s\S])*)"|((?:[^\s;'"\\]|\\[\s\S])+)/y;

function unescaped(text: string): string {
  return text.replace(/\\([\s\S])/g, (_, sign: string) => (sign === '\n' ? '' : sign));
}

/** Cuts a text into statements; those without words are left out. */
class Reader {
  private at = 0;
  private line = 1;
  private readonly text: string;
  private readonly where: string;

  constructor(text: string, where: string) {
    this.text = text;
    this.where = where;
  }

  private take(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text) ?? undefined;
    this.at += found?.[0].length ?? 0;
    return found;
  }

  private word(): string {
    let word = '';
    for (;;) {
      const found = this.take(piece);
      if (found === undefined) return word;
      const [all, single, double, bare] = found;
      this.line += all.split('\n').length - 1;
      word += single ?? unescaped(double ?? bare ?? '');
    }
  }

  private statement(): Statement {
    const words: string[] = [];
    const { line } = this;
    for (;;) {
      this.take(blank);
      this.take(comment);
      const stop = this.at >= this.text.length ? '' : this.take(end)?.[0];
      if (stop !== undefined) {
        if (stop === '\n') this.line++;
        return { line, words };
      }
      const before = this.at;
      words.push(this.word());
      if (this.at === before) throw wrong(this.where, line, 'a quotation mark has no partner');
    }
  }

  all(): Statement[] {
    const statements: Statement[] = [];
    while (this.at < this.text.length) {
      const statement = this.statement();
      if (statement.words.length > 0) statements.push(statement);
    }
    return statements;
  }
}

type Building = UciSection & { readonly values: Map<string, string | readonly string[]> };

function keep(values: Building['values'], isList: boolean, name: string, value: string): void {
  const before = values.get(name);
  values.set(name, isList && Array.isArray(before) ? [...before, value] : isList ? [value] : value);
}

/**
 * The sections of a text, in their order; `where` names it in errors.
 * @throws EntremiseError `bad-config`, with the number of the line
 */
export function parseUci(text: string, where: string): UciSection[] {
  const sections: Building[] = [];
  for (const { line, words } of new Reader(text, where).all()) {
    const [keyword = '', name = '', value] = words;
    if (keyword === 'package') continue;
    if (keyword === 'config' && name !== '' && words.length <= 3) {
      sections.push({ type: name, name: value, values: new Map() });
    } else if ((keyword === 'option' || keyword === 'list') && value !== undefined && words.length === 3) {
      const section = sections.at(-1);
      if (section === undefined) throw wrong(where, line, `${keyword} ${name} stands before any section`);
      keep(section.values, keyword === 'list', name, value);
    } else {
      throw wrong(where, line, "is neither config TYPE ['NAME'], option NAME 'VALUE' nor list NAME 'VALUE'");
    }
  }
  return sections;
}
