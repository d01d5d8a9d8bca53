import test from 'ava';
import { StatusBoard } from './status-board.ts';

const escapeSign = '\u001b';

/** A terminal of some columns, as far as the board uses one. */
class Terminal {
  readonly rows: string[] = [''];
  readonly columns: number;
  private row = 0;

  constructor(columns: number) {
    this.columns = columns;
  }

  write(text: string): void {
    for (const piece of text.split(escapeSign)) {
      const [, rows, clear, rest = piece] = /^(?:\[(\d+)A|(\[2K))?([\s\S]*)$/.exec(piece) ?? [];
      if (rows !== undefined) this.row -= Number(rows);
      if (clear !== undefined) this.rows[this.row] = '';
      for (const sign of rest) this.type(sign);
    }
  }

  private type(sign: string): void {
    if (sign === '\n') this.rows[++this.row] ??= '';
    else if (sign !== '\r') this.rows[this.row] += sign;
  }
}

test('on a terminal each line stays in its place and changes', t => {
  const terminal = new Terminal(80);
  const board = new StatusBoard(2, terminal);
  board.set(0, 'first: waiting');
  board.set(1, 'second: waiting');
  board.set(0, 'first: up');
  t.deepEqual(terminal.rows, ['first: up', 'second: waiting', '']);
});

test('what is said once stands above the lines', t => {
  const terminal = new Terminal(80);
  const board = new StatusBoard(2, terminal);
  board.set(0, 'first');
  board.set(1, 'second');
  board.say('something has happened');
  board.set(1, 'second, changed');
  t.deepEqual(terminal.rows, ['something has happened', 'first', 'second, changed', '']);
});

test('a line that is too long is cut, so that it takes one row', t => {
  const terminal = new Terminal(30);
  const board = new StatusBoard(1, terminal);
  board.set(0, 'x'.repeat(100));
  t.is(terminal.rows[0], 'x'.repeat(29));
});

test('elsewhere a line is written when it changes, and only then', t => {
  const written: string[] = [];
  const board = new StatusBoard(2, { columns: undefined, write: text => written.push(text) });
  board.set(0, 'first: waiting');
  board.set(0, 'first: waiting');
  board.set(1, 'second\u001b[31m');
  board.set(0, 'first: up');
  board.say('once');
  t.deepEqual(written, ['first: waiting\n', 'second\\u001b[31m\n', 'first: up\n', 'once\n']);
});
