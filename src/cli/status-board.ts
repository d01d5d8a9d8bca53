import { visible } from './output.ts';

/** Where a board is shown. */
export interface Screen {
  /** Columns of a terminal; undefined where lines cannot be drawn over (a file, a journal). */
  readonly columns: number | undefined;
  write(text: string): void;
}

const clearLine = '\u001b[2K';
const up = (lines: number) => (lines > 0 ? `\u001b[${lines}A` : '');

/**
 * One line each for things that go on for ever. On a terminal the lines stay where they are and change; elsewhere a line
 * is written whenever it changes.
 */
export class StatusBoard {
  private readonly screen: Screen;
  private readonly lines: string[];
  private drawn = 0;

  /** `count` lines, empty at first and then not shown. */
  constructor(count: number, screen: Screen) {
    this.screen = screen;
    this.lines = Array.from({ length: count }, () => '');
  }

  /** The line's text, whose control characters are made visible. Nothing when it has that text already. */
  set(index: number, text: string): void {
    const line = visible(text);
    if (this.lines[index] === line) return;
    this.lines[index] = line;
    if (this.screen.columns === undefined) this.screen.write(`${line}\n`);
    else this.draw();
  }

  /** A line that is said once and stands above the board. */
  say(text: string): void {
    if (this.screen.columns === undefined) return this.screen.write(`${visible(text)}\n`);
    this.screen.write(`${up(this.drawn)}\r${clearLine}${visible(text)}\n`);
    this.drawn = 0;
    this.draw();
  }

  private draw(): void {
    // A line that wraps would take two, and the next drawing begin in the wrong place.
    const width = Math.max(20, this.screen.columns ?? 0) - 1;
    const shown = this.lines.filter(line => line !== '');
    const drawing = shown.map(line => `\r${clearLine}${line.slice(0, width)}\n`).join('');
    this.screen.write(`${up(this.drawn)}${drawing}`);
    this.drawn = shown.length;
  }
}
