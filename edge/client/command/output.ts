/** What is printed: tables for people at a terminal, JSON lines for programs. Notes and bars go to standard error. */
import type { Terminal } from '../index.ts';

export type OutputOptions = { json?: boolean; quiet?: boolean };

/** Control characters and marks of direction, which would draw something else than there is. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const UNSEEN = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;
const NARROWEST = 6;

export class Output {
  readonly #out: Terminal;
  readonly #err: Terminal;
  readonly #env: Readonly<Record<string, string | undefined>>;
  #options: OutputOptions = {};
  constructor(out: Terminal, err: Terminal, env: Readonly<Record<string, string | undefined>>) {
    this.#out = out;
    this.#err = err;
    this.#env = env;
  }

  configure(options: OutputOptions): void {
    this.#options = options;
  }

  /** Whether a person reads it. */
  get forPeople(): boolean {
    return Boolean(this.#out.isTTY) && !this.#options.json;
  }

  /** Where a bar may be drawn; null where nobody would see one. */
  get barTerminal(): Terminal | null {
    return this.#err.isTTY && !this.#options.quiet ? this.#err : null;
  }

  /** One line of JSON. */
  line(value: unknown): void {
    this.#out.write(`${JSON.stringify(value)}\n`);
  }

  /** Something said beside the result. */
  note(text: string): void {
    if (!this.#options.quiet) {
      this.#err.write(`${text}\n`);
    }
  }

  /** What went wrong; said whatever was asked for. */
  error(text: string): void {
    const red = this.#err.isTTY && !this.#env.NO_COLOR;
    this.#err.write(`${red ? '\x1b[31m' : ''}error:${red ? '\x1b[0m' : ''} ${text}\n`);
  }

  /** One thing: all of it, indented for people. */
  one(value: unknown): void {
    if (this.forPeople) {
      // what JSON leaves as it is may still turn a line around
      this.#out.write(`${escaped(JSON.stringify(value, null, 2))}\n`);
    } else {
      this.line(value);
    }
  }

  /** Items as they come: JSON lines at once, a table of these columns when all are there. */
  async list<T extends object>(
    items: AsyncIterable<T> | Iterable<T>,
    columns: readonly (keyof T & string)[],
  ): Promise<void> {
    const rows: string[][] = [];
    for await (const item of items) {
      if (this.forPeople) {
        rows.push(columns.map((column) => cellOf(item[column])));
      } else {
        this.line(item);
      }
    }
    if (this.forPeople) {
      this.#out.write(rows.length > 0 ? table(columns, rows, this.#out.columns ?? 100) : 'none\n');
    }
  }
}

const escaped = (text: string): string =>
  text.replace(UNSEEN, (c) => (c === '\n' ? c : `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`));

function cellOf(value: unknown): string {
  const text =
    value === null || value === undefined ? '-' : typeof value === 'object' ? JSON.stringify(value) : String(value);
  return text.replace(UNSEEN, '\ufffd');
}

const cut = (text: string, width: number): string => {
  const letters = [...text];
  return letters.length > width
    ? `${letters.slice(0, width - 1).join('')}…`
    : text + ' '.repeat(width - letters.length);
};

/** Columns as wide as their widest cell, narrowed to the terminal; where that is too narrow, a line for every cell. */
function table(columns: readonly string[], rows: readonly (readonly string[])[], room: number): string {
  const widths = columns.map((title, i) => Math.max(title.length, ...rows.map((row) => [...row[i]!].length)));
  const total = (): number => widths.reduce((sum, width) => sum + width + 2, -2);
  while (total() > room) {
    const widest = widths.indexOf(Math.max(...widths));
    if (widths[widest]! <= NARROWEST) {
      const lines = rows.map((row) => row.map((cell, i) => cut(`${columns[i]}: ${cell}`, room).trimEnd()).join('\n'));
      return `${lines.join('\n\n')}\n`;
    }
    widths[widest]! -= 1;
  }
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, i) => cut(cell, widths[i]!))
      .join('  ')
      .trimEnd();
  return [line(columns), ...rows.map(line)].map((text) => `${text}\n`).join('');
}
