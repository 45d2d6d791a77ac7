/**
 * Zip archives (APPNOTE 6.3, zip64 included), entries stored or deflated: read by the directory at their end, whose sizes are held
 * against a limit before anything is written; what comes is held against what it announced, and against its checksum.
 */
import { createReadStream, createWriteStream } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { crc32, createInflateRaw } from 'node:zlib';
import { checkedPath, invalid, linked, tooMuch, type Unpacking } from './unpacking.ts';

const ENTRY = 0x02014b50;
const LOCAL = 0x04034b50;
const END = 0x06054b50;
const END64 = 0x06064b50;
const LOCATOR64 = 0x07064b50;
/** The end record, and the longest remark behind it. */
const LONGEST_END = 22 + 65_535;
/** A model has some hundred files: a directory of this size has tens of thousands. */
const LONGEST_DIRECTORY = 16 * 1024 * 1024;
const ELSEWHERE = 0xffffffff;

type Entry = { path: string; method: number; crc: number; packed: number; size: number; at: number };

/**
 * Unpacks a file. @returns the paths of entries that were left out
 * @throws SextantError `data_invalid` for damaged archives, links, names that lead elsewhere, and more bytes than the limit
 */
export async function unpackZip(file: string, { limit, place }: Unpacking): Promise<string[]> {
  const handle = await open(file);
  const left: string[] = [];
  try {
    const entries = await directoryOf(handle);
    if (entries.reduce((sum, { size }) => sum + size, 0) > limit) {
      throw tooMuch(limit);
    }
    for (const entry of entries) {
      const to = place(entry.path);
      if (to === null) {
        left.push(entry.path);
      } else {
        await copyOut(file, handle, entry, to);
      }
    }
    return left;
  } finally {
    await handle.close();
  }
}

async function directoryOf(handle: FileHandle): Promise<Entry[]> {
  const { size } = await handle.stat();
  const from = Math.max(0, size - LONGEST_END);
  const tail = await bytesAt(handle, from, size - from);
  let end = tail.length - 22;
  while (end >= 0 && tail.readUInt32LE(end) !== END) {
    end -= 1;
  }
  if (end < 0) {
    throw invalid('it is a zip file that breaks off: its directory is missing');
  }
  let [bytes, at] = [tail.readUInt32LE(end + 12), tail.readUInt32LE(end + 16)];
  if (end >= 20 && tail.readUInt32LE(end - 20) === LOCATOR64) {
    const record = await bytesAt(handle, numberAt(tail, end - 12), 56);
    if (record.readUInt32LE(0) !== END64) {
      throw invalid('its directory is damaged');
    }
    [bytes, at] = [numberAt(record, 40), numberAt(record, 48)];
  }
  if (bytes > LONGEST_DIRECTORY) {
    throw invalid(`its directory has ${bytes} bytes; no model has so many files`);
  }
  return entriesOf(await bytesAt(handle, at, bytes));
}

function entriesOf(directory: Buffer): Entry[] {
  const entries: Entry[] = [];
  for (let i = 0; i < directory.length; ) {
    if (i + 46 > directory.length || directory.readUInt32LE(i) !== ENTRY) {
      throw invalid('its directory is damaged');
    }
    const [name, extra, remark] = [28, 30, 32].map((at) => directory.readUInt16LE(i + at)) as [number, number, number];
    const path = directory.toString('utf8', i + 46, i + 46 + name);
    const wide = wideNumbers(directory.subarray(i + 46 + name, i + 46 + name + extra));
    const number = (at: number): number => {
      const own = directory.readUInt32LE(i + at);
      return own === ELSEWHERE ? (wide.shift() ?? own) : own;
    };
    // in the order in which the wide ones stand
    const [size, packed, at] = [number(24), number(20), number(42)];
    const [flags, method] = [directory.readUInt16LE(i + 8), directory.readUInt16LE(i + 10)];
    if (((directory.readUInt32LE(i + 38) >>> 28) & 0xf) === 0xa) {
      throw linked(path);
    }
    if (!path.endsWith('/')) {
      if (flags & 1) {
        throw invalid(`'${path.slice(0, 200)}' is encrypted`);
      }
      entries.push({ path: checkedPath(path), method, crc: directory.readUInt32LE(i + 16), packed, size, at });
    }
    i += 46 + name + extra + remark;
  }
  return entries;
}

/** Numbers of the field that zip64 adds; none where it is missing. */
function wideNumbers(extra: Buffer): number[] {
  for (let i = 0; i + 4 <= extra.length; ) {
    const [id, length] = [extra.readUInt16LE(i), extra.readUInt16LE(i + 2)];
    if (id === 1) {
      return Array.from({ length: Math.floor(length / 8) }, (_, n) => numberAt(extra, i + 4 + 8 * n));
    }
    i += 4 + length;
  }
  return [];
}

function numberAt(bytes: Buffer, at: number): number {
  if (at + 8 > bytes.length) {
    throw invalid('its directory is damaged');
  }
  return Number(bytes.readBigUInt64LE(at));
}

async function bytesAt(handle: FileHandle, at: number, length: number): Promise<Buffer> {
  const bytes = Buffer.alloc(length);
  const { bytesRead } = await handle.read(bytes, 0, length, at);
  if (bytesRead < length) {
    throw invalid('it breaks off');
  }
  return bytes;
}

async function copyOut(file: string, handle: FileHandle, entry: Entry, to: string): Promise<void> {
  const { path, method, packed, size, at } = entry;
  const head = await bytesAt(handle, at, 30);
  if (head.readUInt32LE(0) !== LOCAL || (method !== 0 && method !== 8)) {
    throw invalid(`'${path.slice(0, 200)}' is damaged, or packed by another method than deflate`);
  }
  const start = at + 30 + head.readUInt16LE(26) + head.readUInt16LE(28);
  const bytes = packed > 0 ? createReadStream(file, { start, end: start + packed - 1 }) : Readable.from([]);
  let [crc, came] = [0, 0];
  const counted = new Transform({
    transform(part: Buffer, _encoding, done) {
      crc = crc32(part, crc);
      came += part.length;
      done(came > size ? new Error('more bytes than were announced') : null, part);
    },
  });
  const out = createWriteStream(to);
  await (method === 8 ? pipeline(bytes, createInflateRaw(), counted, out) : pipeline(bytes, counted, out)).catch(
    (error: Error) => {
      throw invalid(`'${path.slice(0, 200)}' cannot be read (${error.message})`);
    },
  );
  if (came !== size || crc !== entry.crc) {
    throw invalid(`'${path.slice(0, 200)}' is damaged: its checksum does not fit`);
  }
}
