/**
 * CSV (RFC 4180: quoted fields, doubled quotes, CRLF or LF) into typed columns, from bytes. Numbers are read from the bytes
 * directly; a column is numeric when every value that is not missing is a finite number.
 */
import {
  ambiguousNames,
  type Column,
  type ColumnReading,
  categories,
  columnNames,
  columnReading,
  MISSING_MARKS,
  TABLE_LIMITS,
  type Table,
  type TableLimits,
  tableError,
} from './table.ts';

type CsvOptions = ColumnReading & {
  /** One ASCII character, or `blanks` for runs of spaces and tabs. */
  delimiter?: string | undefined;
  /** Names of the columns of a file without a header line. */
  names?: readonly string[] | undefined;
  /** Drop blanks around fields that are not quoted. */
  trim?: boolean | undefined;
  missing?: readonly string[] | undefined;
  limits?: Partial<TableLimits>;
};

const [QUOTE, LF, CR, BLANK, TAB, MINUS, POINT, ZERO, NINE] = [0x22, 0x0a, 0x0d, 0x20, 0x09, 0x2d, 0x2e, 0x30, 0x39];
/** The delimiter that stands for runs of spaces and tabs, as tables of fixed columns have them. */
const BLANKS = 'blanks';
const POWERS = Float64Array.from({ length: 23 }, (_, i) => 10 ** i);

/**
 * Reads a table. Raises `data_invalid`: csv_malformed (with the line) for ragged lines, an open quote, text that is not
 * UTF-8 or a delimiter that cannot be right; table_too_large; column_name_invalid. Bytes are no JSON document:
 * a pointer is empty for the whole of them, else `/lines/N`, `/columns/...` or the option `/delimiter`.
 */
export function readCsv(bytes: Uint8Array, options: CsvOptions = {}): Table {
  const { delimiter = ',', names, trim = false, missing = MISSING_MARKS } = options;
  const limits = { ...TABLE_LIMITS, ...options.limits };
  const blanks = delimiter === BLANKS;
  if (!(blanks || /^[\t -!#-~]$/.test(delimiter))) {
    throw tableError(
      'csv_malformed',
      '/delimiter',
      'a delimiter is one ASCII character other than a quote or a line end, or `blanks` for runs of spaces and tabs',
    );
  }
  // Runs are skipped on both sides of a field, so that a tab, then a space, are one delimiter.
  const separator = blanks ? BLANK : delimiter.charCodeAt(0);
  const second = blanks ? TAB : separator;
  const skipBlanks = (): void => {
    while (blanks && (bytes[at] === BLANK || bytes[at] === TAB)) {
      at += 1;
    }
  };
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  const decode = (from: number, to: number): string => {
    try {
      return decoder.decode(bytes.subarray(from, to));
    } catch {
      throw tableError('csv_malformed', '', 'the body: the text is not valid UTF-8');
    }
  };
  let at = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0;
  const end = bytes.length;
  let line = 1;
  let last = false;
  let quoted = false;
  let [from, to] = [0, 0];

  /** Moves over one field; `from`..`to` is its content, `last` whether it ends its line. */
  const field = (): void => {
    skipBlanks();
    quoted = bytes[at] === QUOTE;
    if (quoted) {
      from = ++at;
      const opened = line;
      for (;;) {
        if (at >= end) {
          throw tableError('csv_malformed', `/lines/${opened}`, `the quote opened in line ${opened} is never closed`);
        }
        const code = bytes[at]!;
        if (code === LF) {
          line += 1;
        }
        if (code === QUOTE) {
          if (bytes[at + 1] !== QUOTE) {
            break;
          }
          at += 1;
        }
        at += 1;
      }
      to = at++;
      if (bytes[at] === CR && (at + 1 === end || bytes[at + 1] === LF)) {
        at += 1;
      }
      if (at < end && bytes[at] !== separator && bytes[at] !== second && bytes[at] !== LF) {
        throw tableError('csv_malformed', `/lines/${line}`, `line ${line} has text after a closing quote`);
      }
    } else {
      from = at;
      while (at < end && bytes[at] !== separator && bytes[at] !== second && bytes[at] !== LF) {
        at += 1;
      }
      to = at > from && bytes[at - 1] === CR && (at === end || bytes[at] === LF) ? at - 1 : at;
      if (trim) {
        while (from < to && bytes[from] === BLANK) {
          from += 1;
        }
        while (from < to && bytes[to - 1] === BLANK) {
          to -= 1;
        }
      }
    }
    skipBlanks();
    if (blanks && bytes[at] === CR && (at + 1 === end || bytes[at + 1] === LF)) {
      at += 1;
    }
    last = at >= end || bytes[at] === LF;
    // A run of blanks is behind us already; any other delimiter, and a line end, is not.
    at += blanks && !last ? 0 : 1;
  };
  const text = (): string => (quoted ? decode(from, to).replaceAll('""', '"') : decode(from, to));

  const header: string[] = [];
  if (names) {
    header.push(...names);
  } else {
    if (at >= end) {
      throw tableError('csv_malformed', '', 'the body: the table is empty; the first line names the columns');
    }
    do {
      field();
      header.push(text());
      if (header.length > limits.columns) {
        throw tableError('table_too_large', '/columns', `the table has more than ${limits.columns} columns`);
      }
    } while (!last);
    line += 1;
  }
  if (header.length > limits.columns) {
    throw tableError('table_too_large', '/columns', `the table has more than ${limits.columns} columns`);
  }
  if (header.length === 1 && !names) {
    const other = [',', ';', '\t', '|'].find((mark) => mark !== delimiter && header[0]!.includes(mark));
    if (other) {
      const shown = other === '\t' ? 'a tab' : `"${other}"`;
      throw tableError(
        'csv_malformed',
        '/delimiter',
        `the header has no "${delimiter}" but holds ${shown}; is that the delimiter?`,
      );
    }
  }
  const columnCount = header.length;
  const labels = columnNames(header);

  // Every cell as a number where it is one; the texts of a column are read again only if one of its cells is not.
  const marks = new Set(missing);
  // A mark such as -99 looks like a number: then every number is compared with the marks first.
  const numericMark = missing.some((mark) => /\d/.test(mark));
  let capacity = 1024;
  let numbers = labels.map(() => new Float64Array(capacity));
  const reading = columnReading(header, labels, options);
  const numeric = reading.map((how) => how.read && !how.text);
  const missingCounts = new Uint32Array(columnCount);
  const start = at;
  const startLine = line;
  let rows = 0;
  /** The field as a number, NaN where it is missing; undefined where it is neither. */
  const parse = (): number | undefined => {
    let i = from;
    const negative = bytes[i] === MINUS;
    if (negative) {
      i += 1;
    }
    const first = i;
    let [value, digits, decimals] = [0, 0, -1];
    for (; i < to; i++) {
      const code = bytes[i]!;
      if (code >= ZERO && code <= NINE) {
        value = value * 10 + (code - ZERO);
        digits += 1;
        if (decimals >= 0) {
          decimals += 1;
        }
      } else if (code === POINT && decimals < 0) {
        decimals = 0;
      } else {
        break;
      }
    }
    // Both the integer and the power of ten are exact here, so their quotient is the correctly rounded number.
    if (i === to && digits > 0 && digits <= 15 && i > first) {
      if (numericMark && marks.has(text())) {
        return Number.NaN;
      }
      const size = decimals > 0 ? value / POWERS[decimals]! : value;
      return negative ? -size : size;
    }
    const word = text();
    if (marks.has(word)) {
      return Number.NaN;
    }
    if (!/^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(word)) {
      return undefined;
    }
    const parsed = Number(word);
    return Number.isFinite(parsed) ? parsed : undefined;
  };
  const scan = (visit: (column: number, row: number) => void): void => {
    at = start;
    line = startLine;
    rows = 0;
    while (at < end) {
      skipBlanks();
      if (at >= end) {
        break;
      }
      // A blank line at the end, or between lines, is no row.
      if (columnCount > 1 && (bytes[at] === LF || (bytes[at] === CR && bytes[at + 1] === LF))) {
        at += bytes[at] === CR ? 2 : 1;
        line += 1;
        continue;
      }
      if (rows === limits.rows) {
        throw tableError('table_too_large', '', `the table has more than ${limits.rows} rows`);
      }
      const first = line;
      for (let column = 0; column < columnCount; column++) {
        field();
        visit(column, rows);
        if (last !== (column === columnCount - 1)) {
          const what = last ? `only ${column + 1}` : 'more than';
          throw tableError(
            'csv_malformed',
            `/lines/${first}`,
            `line ${first} has ${what}${last ? '' : ` ${columnCount}`} fields, the header has ${columnCount}`,
          );
        }
      }
      rows += 1;
      line += 1;
    }
  };
  scan((column, row) => {
    if (row === capacity) {
      capacity *= 2;
      numbers = numbers.map((old) => {
        const grown = new Float64Array(capacity);
        grown.set(old);
        return grown;
      });
    }
    if (!numeric[column]) {
      return;
    }
    const value = parse();
    if (value === undefined) {
      numeric[column] = false;
    } else {
      numbers[column]![row] = value;
      if (Number.isNaN(value)) {
        missingCounts[column]! += 1;
      }
    }
  });
  const texts = new Map<number, (string | null)[]>();
  numeric.forEach((isNumber, column) => {
    // A column of nothing but missing marks says nothing about its kind; as numbers it stays usable.
    if (!isNumber && reading[column]!.read) {
      texts.set(column, []);
    }
  });
  if (texts.size > 0) {
    scan((column) => {
      const list = texts.get(column);
      if (!list) {
        return;
      }
      const word = text();
      list.push(marks.has(word) ? null : word);
    });
  }
  const kept = [...labels.keys()].filter((j) => reading[j]!.read);
  const columns = kept.map((j): Column => {
    const [name, list] = [labels[j]!, texts.get(j)];
    if (list) {
      return categories(name, list, limits);
    }
    return { name, kind: 'number', values: numbers[j]!.slice(0, rows), missing: missingCounts[j]! };
  });
  const ambiguous = ambiguousNames(
    kept.map((j) => header[j]!),
    columns,
  );
  return { rows, columns, ambiguous, names: labels };
}

/** One field, quoted where it must be. */
const written = (value: string | number | null, delimiter: string): string => {
  if (value === null) {
    return '';
  }
  const text = String(value);
  return /["\r\n]/.test(text) || text.includes(delimiter) ? `"${text.replaceAll('"', '""')}"` : text;
};

/** Columns of equal length as CSV with a header; null and NaN become empty fields. */
export function writeCsv(
  columns: readonly { name: string; values: ArrayLike<string | number | null> }[],
  delimiter = ',',
): string {
  const rows = columns[0]?.values.length ?? 0;
  const lines = [columns.map((column) => written(column.name, delimiter)).join(delimiter)];
  for (let i = 0; i < rows; i++) {
    lines.push(
      columns.map(({ values }) => (Number.isNaN(values[i]) ? '' : written(values[i]!, delimiter))).join(delimiter),
    );
  }
  return `${lines.join('\n')}\n`;
}
