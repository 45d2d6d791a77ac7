/**
 * Zip archives (APPNOTE 6.3, zip64 included), entries stored or deflated: read by the directory at their end, whose sizes are held
 * against a limit before anything is written; what comes is held against what it announced, and against its checksum.
 */
import { createReadStream, createWriteStream } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { crc32, createInflateRaw } from 'node:zlib';
import {
  contentStart,
  directoryPlace,
  directoryPlace64,
  END64_HEAD,
  LOCAL_HEAD,
  LONGEST_END,
  ZipDamage,
  type ZipEntry,
  zipEntries,
} from '../../../shared/formats/zip-directory.ts';
import { checkedPath, invalid, linked, tooMuch, type Unpacking } from './unpacking.ts';

/** A model has some hundred files: a directory of this size has tens of thousands. */
const LONGEST_DIRECTORY = 16 * 1024 * 1024;

/**
 * Unpacks a file. @returns the paths of entries that were left out
 * @throws SextantError `data_invalid` for damaged archives, links, names that lead elsewhere, and more bytes than the limit
 */
export async function unpackZip(file: string, { limit, place }: Unpacking): Promise<string[]> {
  const handle = await open(file);
  const left: string[] = [];
  try {
    const entries = await filesOf(handle);
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

/** The files of the archive, refused where one may not come out. */
async function filesOf(handle: FileHandle): Promise<ZipEntry[]> {
  try {
    return (await entriesOf(handle)).flatMap((entry) => {
      const { path, encrypted, link } = entry;
      if (link) {
        throw linked(path);
      }
      if (path.endsWith('/')) {
        return [];
      }
      if (encrypted) {
        throw invalid(`'${path.slice(0, 200)}' is encrypted`);
      }
      return [{ ...entry, path: checkedPath(path) }];
    });
  } catch (error) {
    throw error instanceof ZipDamage ? invalid('its directory is damaged') : error;
  }
}

async function entriesOf(handle: FileHandle): Promise<ZipEntry[]> {
  const { size } = await handle.stat();
  const from = Math.max(0, size - LONGEST_END);
  const place = directoryPlace(await bytesAt(handle, from, size - from));
  if (!place) {
    throw invalid('it is a zip file that breaks off: its directory is missing');
  }
  const { bytes, at } =
    place.record64 === null ? place : directoryPlace64(await bytesAt(handle, place.record64, END64_HEAD));
  if (bytes > LONGEST_DIRECTORY) {
    throw invalid(`its directory has ${bytes} bytes; no model has so many files`);
  }
  return zipEntries(await bytesAt(handle, at, bytes));
}

async function bytesAt(handle: FileHandle, at: number, length: number): Promise<Buffer> {
  const bytes = Buffer.alloc(length);
  const { bytesRead } = await handle.read(bytes, 0, length, at);
  if (bytesRead < length) {
    throw invalid('it breaks off');
  }
  return bytes;
}

async function copyOut(file: string, handle: FileHandle, entry: ZipEntry, to: string): Promise<void> {
  const { path, method, packed, size, at } = entry;
  const start = contentStart(await bytesAt(handle, at, LOCAL_HEAD), at);
  if (start === null || (method !== 0 && method !== 8)) {
    throw invalid(`'${path.slice(0, 200)}' is damaged, or packed by another method than deflate`);
  }
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
