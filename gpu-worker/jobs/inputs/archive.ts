/**
 * Archives: zip files, and tar (POSIX ustar and pax, GNU long names), plain or compressed by gzip. Only regular files with a plain name come
 * out; the sizes that the archive announces, and the bytes that come, are held against a limit before anything is written.
 */
import { createReadStream, createWriteStream } from 'node:fs';
import { finished } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { SextantError } from '../../../shared/contracts/problem.ts';
import { checkedPath, invalid, linked, tooMuch, type Unpacking } from './unpacking.ts';
import { unpackZip } from './zip.ts';

const BLOCK = 512;

class Bytes {
  readonly #source: AsyncIterator<Buffer>;
  #rest: Buffer = Buffer.alloc(0);
  constructor(source: AsyncIterable<Buffer>) {
    this.#source = source[Symbol.asyncIterator]();
  }
  /** The next bytes, at most `most`; null at the end. */
  async some(most: number): Promise<Buffer | null> {
    while (this.#rest.length === 0) {
      const { value, done } = await this.#source.next();
      if (done) {
        return null;
      }
      this.#rest = value as Buffer;
    }
    const part = this.#rest.subarray(0, most);
    this.#rest = this.#rest.subarray(part.length);
    return part;
  }
  /** Exactly so many; null where the archive ends before the first. */
  async exactly(count: number): Promise<Buffer | null> {
    const parts: Buffer[] = [];
    for (let left = count; left > 0; ) {
      const part = await this.some(left);
      if (!part && left === count) {
        return null;
      }
      if (!part) {
        throw invalid('it breaks off');
      }
      parts.push(part);
      left -= part.length;
    }
    return Buffer.concat(parts);
  }
  async skip(count: number): Promise<void> {
    for (let left = count; left > 0; ) {
      const part = await this.some(left);
      if (!part) {
        throw invalid('it breaks off');
      }
      left -= part.length;
    }
  }
  async end(): Promise<void> {
    await this.#source.return?.();
  }
}

const text = (block: Buffer, at: number, length: number): string =>
  block
    .subarray(at, at + length)
    .toString('utf8')
    .split('\0', 1)[0] ?? '';
const padded = (size: number): number => Math.ceil(size / BLOCK) * BLOCK;

/** Octal digits, or a binary number where the first bit is set. */
function sizeOf(block: Buffer): number {
  if (block[124]! & 0x80) {
    return block.subarray(125, 136).reduce((sum, byte) => sum * 256 + byte, 0);
  }
  const digits = text(block, 124, 12).trim();
  if (!/^[0-7]+$/.test(digits)) {
    throw invalid('a size is no number: this is no tar file');
  }
  return Number.parseInt(digits, 8);
}

const checksumFits = (block: Buffer): boolean => {
  const own = block.reduce((sum, byte, i) => sum + (i >= 148 && i < 156 ? 0x20 : byte), 0);
  return Number.parseInt(text(block, 148, 8).trim(), 8) === own;
};

/** Name of a record of pax: `length path=value\n`. */
const paxPath = (record: Buffer): string | null =>
  /(?:^|\n)\d+ path=([^\n]*)\n/.exec(record.toString('utf8'))?.[1] ?? null;

/**
 * Unpacks a file. @returns the paths of entries that were left out
 * @throws SextantError `data_invalid` for damaged archives, links, names that lead elsewhere, and more bytes than the limit
 */
export async function unpackArchive(file: string, unpacking: Unpacking): Promise<string[]> {
  const head = await firstBytes(file);
  return head[0] === 0x50 && head[1] === 0x4b ? unpackZip(file, unpacking) : unpackTar(file, head, unpacking);
}

async function unpackTar(file: string, head: Buffer, { limit, place }: Unpacking): Promise<string[]> {
  const raw = createReadStream(file);
  const zipped = head[0] === 0x1f && head[1] === 0x8b;
  const inflated = zipped ? raw.pipe(createGunzip()) : raw;
  raw.on('error', (error) => inflated.destroy(error));
  const bytes = new Bytes(inflated as AsyncIterable<Buffer>);
  const left: string[] = [];
  let used = 0;
  let longName: string | null = null;
  try {
    for (;;) {
      const block = await bytes.exactly(BLOCK);
      if (!block || block.every((byte) => byte === 0)) {
        return left;
      }
      if (!checksumFits(block)) {
        throw invalid('a header is damaged: this is no tar file');
      }
      const size = sizeOf(block);
      const type = String.fromCharCode(block[156] ?? 0);
      used += size;
      if (used > limit) {
        throw tooMuch(limit);
      }
      if (type === 'x' || type === 'L') {
        const record = await bytes.exactly(padded(Math.min(size, 65_536)));
        const own = record?.subarray(0, size) ?? Buffer.alloc(0);
        longName = type === 'x' ? (paxPath(own) ?? longName) : text(own, 0, own.length);
        continue;
      }
      const prefix = text(block, 345, 155);
      const path: string =
        longName ?? `${prefix && text(block, 257, 5) === 'ustar' ? `${prefix}/` : ''}${text(block, 0, 100)}`;
      longName = null;
      const to = type === '0' || type === '\0' ? place(checkedPath(path)) : refuseLink(type, path);
      if (to === null) {
        if (type === '0' || type === '\0') {
          left.push(path);
        }
        await bytes.skip(padded(size));
        continue;
      }
      await copyOut(bytes, size, to);
      await bytes.skip(padded(size) - size);
    }
  } catch (error) {
    throw error instanceof SextantError ? error : invalid(`it cannot be read (${(error as Error).message})`);
  } finally {
    await bytes.end();
    raw.destroy();
  }
}

async function firstBytes(file: string): Promise<Buffer> {
  for await (const part of createReadStream(file, { end: 1 })) {
    return part as Buffer;
  }
  return Buffer.alloc(0);
}

/** Folders and notes hold nothing; links and devices are nothing that a model has. */
function refuseLink(type: string, path: string): null {
  if (['1', '2', '3', '4', '6'].includes(type)) {
    throw linked(path);
  }
  return null;
}

async function copyOut(bytes: Bytes, size: number, to: string): Promise<void> {
  const out = createWriteStream(to);
  for (let left = size; left > 0; ) {
    const part = await bytes.some(left);
    if (!part) {
      out.destroy();
      throw invalid('it breaks off');
    }
    left -= part.length;
    if (!out.write(part)) {
      await new Promise<void>((resolve) => out.once('drain', resolve));
    }
  }
  out.end();
  await finished(out);
}
