/** Corpora in files, read as streams: what is held in memory is one document and one piece of the file. */
import { isUtf8 } from 'node:buffer';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { SextantError } from '../../../shared/contracts/problem.ts';
import { jsonLine } from '../../../shared/formats/json-line.ts';

/** `jsonl`: one document per line, in its field `field`. `text`: paragraphs, separated by lines that are blank. */
export type CorpusFile = { path: string; format: 'text' | 'jsonl'; field: string };
/** Where a document begins: its number, and the byte and line (from 1) in its file. */
export type Place = { document: number; byte: number; line: number };
export type Document = Place & { text: string };

export const BEGINNING: Place = { document: 0, byte: 0, line: 1 };

/** A tokenizer reads a document as a whole, so that its size decides the memory: bytes. */
export const DOCUMENT_LIMIT = 2 ** 24;
const PIECE = 2 ** 18;
const NEWLINE = 10;

/** A line without its newline; the last one of a file may lack it. */
type Line = { text: string; byte: number; line: number; ended: boolean };

/**
 * The documents from `from` on. Blank lines of JSONL files are passed over.
 * @param seen gets every piece of the file that is read
 * @throws SextantError `data_invalid` for a line that is not UTF-8, not JSON or has no such text, and for a document above the limit
 */
export function fileDocuments(
  file: CorpusFile,
  from: Place = BEGINNING,
  seen: (piece: Buffer) => void = () => {},
): AsyncGenerator<Document> {
  const lines = linesOf(file.path, from, seen);
  return file.format === 'jsonl' ? jsonDocuments(lines, file.field, from.document) : paragraphs(lines, from.document);
}

/** Digest of the file's bytes and the number of its documents, after a look at each. @throws as `fileDocuments` */
export async function surveyFile(file: CorpusFile): Promise<{ digest: string; documents: number }> {
  const hash = createHash('sha256');
  let documents = 0;
  for await (const _ of fileDocuments(file, BEGINNING, (piece) => hash.update(piece))) {
    documents++;
  }
  return { digest: hash.digest('hex'), documents };
}

async function* jsonDocuments(lines: AsyncIterable<Line[]>, field: string, first: number): AsyncGenerator<Document> {
  for await (const { values, ...place } of jsonRows(lines, [field], first)) {
    yield { ...place, text: values[0]! };
  }
}

/** The named text fields of each JSON line, in the order of `fields`. @throws as `fileDocuments` */
export const fileRows = (
  path: string,
  fields: readonly string[],
  seen: (piece: Buffer) => void = () => {},
): AsyncGenerator<Place & { values: string[] }> => jsonRows(linesOf(path, BEGINNING, seen), fields, 0);

async function* jsonRows(
  lines: AsyncIterable<Line[]>,
  fields: readonly string[],
  first: number,
): AsyncGenerator<Place & { values: string[] }> {
  let document = first;
  for await (const group of lines) {
    for (const { text: source, byte, line } of group) {
      if (source.trim() === '') {
        continue;
      }
      const read = jsonLine(source);
      if ('wrong' in read) {
        throw new SextantError('data_invalid', `line ${line} of the corpus ${read.wrong}`);
      }
      const row = read.value as Record<string, unknown> | null;
      const values = fields.map((field) => {
        const value = row?.[field];
        if (typeof value === 'string') {
          return value;
        }
        throw new SextantError('data_invalid', `line ${line} of the corpus has no text field '${field}'`);
      });
      yield { document: document++, byte, line, values };
    }
  }
}

/** As if the whole text were split at /\n\s*\n/, so that a paragraph keeps its indentation. */
async function* paragraphs(lines: AsyncIterable<Line[]>, first: number): AsyncGenerator<Document, void, void> {
  let document = first;
  let open: Line[] = [];
  let size = 0;
  const close = function* (): Generator<Document> {
    const text = open.map((line) => line.text).join('\n');
    const [begin] = open;
    open = [];
    size = 0;
    if (begin && text.trim() !== '') {
      yield { document: document++, byte: begin.byte, line: begin.line, text };
    }
  };
  for await (const group of lines) {
    for (const line of group) {
      // A blank line separates where a line ended before it and it has ended itself.
      if (line.ended && line.byte > 0 && line.text.trim() === '') {
        yield* close();
        continue;
      }
      open.push(line);
      size += line.text.length + 1;
      if (size > DOCUMENT_LIMIT) {
        throw tooLong(open[0]!.line);
      }
    }
  }
  yield* close();
}

/** The lines of a file in groups, as they come. A newline byte is no part of another character in UTF-8. */
async function* linesOf(path: string, from: Place, seen: (piece: Buffer) => void): AsyncGenerator<Line[]> {
  let { byte, line } = from;
  let rest: Buffer[] = [];
  let held = 0;
  const take = (last: Buffer, ended: boolean): Line => {
    const bytes = rest.length === 0 ? last : Buffer.concat([...rest, last]);
    if (!isUtf8(bytes)) {
      throw new SextantError('data_invalid', `line ${line} of the corpus is not UTF-8; save the file in that encoding`);
    }
    const text = bytes.toString('utf8');
    const taken = { text: byte === 0 && text.startsWith('\ufeff') ? text.slice(1) : text, byte, line, ended };
    byte += bytes.length + 1;
    line += 1;
    rest = [];
    held = 0;
    return taken;
  };
  for await (const piece of createReadStream(path, { start: byte, highWaterMark: PIECE }) as AsyncIterable<Buffer>) {
    seen(piece);
    const group: Line[] = [];
    let start = 0;
    for (let end = piece.indexOf(NEWLINE); end >= 0; end = piece.indexOf(NEWLINE, start)) {
      group.push(take(piece.subarray(start, end), true));
      start = end + 1;
    }
    if (start < piece.length) {
      rest.push(piece.subarray(start));
    }
    held += piece.length - start;
    if (held > DOCUMENT_LIMIT) {
      throw tooLong(line);
    }
    yield group;
  }
  // What follows the last newline is a line too, mostly an empty one.
  yield [take(Buffer.alloc(0), false)];
}

const tooLong = (line: number): SextantError =>
  new SextantError(
    'data_invalid',
    `the document at line ${line} of the corpus has more than ${DOCUMENT_LIMIT} bytes; split it into several`,
  );
