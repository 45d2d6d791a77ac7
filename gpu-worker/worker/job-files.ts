/** The files of one attempt as blobs: hashed, bounded, and known by digest once they are stored. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat, writeFile } from 'node:fs/promises';
import { isAbsolute, join, relative } from 'node:path';
import type { Blob } from '../../shared/contracts/manifest.ts';
import { SHARD_LIMIT } from '../../shared/contracts/worker-call.ts';
import type { BlobContent } from '../study/index.ts';
import type { WrittenArtefact } from './computation-messages.ts';

export class JobFiles {
  readonly #scratch: string;
  /** File by digest; null for bytes that the edge has kept from an earlier attempt. */
  readonly #known: Map<string, string | null>;
  #written = 0;

  constructor(scratch: string, kept: readonly Blob[]) {
    this.#scratch = scratch;
    this.#known = new Map(kept.map(({ sha256 }) => [sha256, null]));
  }

  /** Raises an Error for a file outside scratch, one above SHARD_LIMIT, and a blob that nobody stored. */
  async store(name: string, media_type: string, content: BlobContent): Promise<WrittenArtefact> {
    if ('sha256' in content) {
      const { sha256, bytes } = content;
      const file = this.#known.get(sha256);
      if (file === undefined) {
        throw new Error(`the blob '${name}' (${sha256}) was stored by nobody`);
      }
      return { name, sha256, bytes, media_type, file };
    }
    const bytes = content instanceof Uint8Array;
    const file = bytes ? join(this.#scratch, `artefact-${this.#written++}`) : content.file;
    const inside = relative(this.#scratch, file);
    if (inside.startsWith('..') || isAbsolute(inside)) {
      throw new Error(`the blob '${name}' lies outside scratch`);
    }
    if (bytes) {
      await writeFile(file, content);
    }
    const { size } = await stat(file);
    if (size > SHARD_LIMIT) {
      throw new Error(`the blob '${name}' has ${size} bytes; write shards of at most ${SHARD_LIMIT}`);
    }
    const sha256 = await digestOfFile(file);
    this.#known.set(sha256, file);
    return { name, sha256, bytes: size, media_type, file };
  }
}

async function digestOfFile(file: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file)) {
    hash.update(chunk as Buffer);
  }
  return hash.digest('hex');
}
