/** Files above the limit of a blob, as parts of one manifest: `NAME.part-0000` and so on, which follow each other. */
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream, type WriteStream } from 'node:fs';
import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';
import { SHARD_LIMIT } from '../../../shared/contracts/worker-call.ts';

const PART = /\.part-\d{4}$/;

/** Name of the file that a blob is or belongs to. */
export const wholeName = (blob: string): string => blob.replace(PART, '');

/**
 * Puts parts in place of a file that is too large. Nothing happens to a smaller one.
 * @returns the digest of the whole file where it was split, else null
 */
export async function splitFile(folder: string, name: string, limit = SHARD_LIMIT): Promise<string | null> {
  const path = join(folder, name);
  const { size } = await stat(path);
  if (size <= limit) {
    return null;
  }
  const hash = createHash('sha256');
  for (let part = 0; part * limit < size; part++) {
    const out = createWriteStream(`${path}.part-${String(part).padStart(4, '0')}`);
    const range = { start: part * limit, end: Math.min(size, (part + 1) * limit) - 1 };
    for await (const chunk of createReadStream(path, range)) {
      hash.update(chunk as Buffer);
      await written(out, chunk as Buffer);
    }
    out.end();
    await finished(out);
  }
  await rm(path);
  return hash.digest('hex');
}

/** Puts files back together whose parts lie in the folder. */
export async function joinFiles(folder: string): Promise<void> {
  const parts = (await readdir(folder)).filter((name) => PART.test(name)).sort();
  for (const name of new Set(parts.map(wholeName))) {
    const out = createWriteStream(join(folder, name));
    for (const part of parts.filter((one) => wholeName(one) === name)) {
      await appendFile(out, join(folder, part));
      await rm(join(folder, part));
    }
    out.end();
    await finished(out);
  }
}

/** Writes the bytes of a file behind what was written. */
export async function appendFile(out: WriteStream, from: string): Promise<void> {
  for await (const chunk of createReadStream(from)) {
    await written(out, chunk as Buffer);
  }
}

const written = async (out: WriteStream, chunk: Buffer): Promise<void> => {
  if (!out.write(chunk)) {
    await new Promise<void>((resolve) => out.once('drain', resolve));
  }
};
