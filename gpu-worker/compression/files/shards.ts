/** The weight files of a compressed model: one for each block, and one before them for what no block holds. */
import { closeSync, openSync, readSync, renameSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { safetensorsPrefix } from '../../../shared/formats/safetensors.ts';

export type TensorToStore = {
  name: string;
  dtype: 'F32' | 'F16' | 'BF16' | 'I32' | 'I64';
  shape: readonly number[];
  /** Themselves, or where they lie in a file that holds them as they are to be. */
  bytes: Uint8Array | Place;
};
type Place = { file: string; begin: number; end: number };
export type Shard = { file: string; names: string[]; bytes: number };

/** Bytes of one write, and of a copy from another file. */
const PIECE = 2 ** 30;
const COPIED = 2 ** 22;

const five = (n: number): string => String(n).padStart(5, '0');

/** Name of file `index` of `count`, as the publishers' library expects it. */
export const shardName = (index: number, count: number): string =>
  `model-${five(index + 1)}-of-${five(count)}.safetensors`;

/** Writes a file, which is whole or absent. */
export function writeShard(folder: string, file: string, tensors: readonly TensorToStore[]): Shard {
  const path = join(folder, file);
  const out = openSync(`${path}.writing`, 'w');
  try {
    const write = (bytes: Uint8Array): void => {
      for (let done = 0; done < bytes.length; ) {
        done += writeSync(out, bytes, done, Math.min(bytes.length - done, PIECE));
      }
    };
    write(safetensorsPrefix(tensors, { format: 'pt' }));
    for (const { bytes } of tensors) {
      if (bytes instanceof Uint8Array) {
        write(bytes);
      } else {
        eachPiece(bytes, write);
      }
    }
  } finally {
    closeSync(out);
  }
  renameSync(`${path}.writing`, path);
  return { file, names: tensors.map(({ name }) => name), bytes: statSync(path).size };
}

function eachPiece({ file, begin, end }: Place, write: (bytes: Uint8Array) => void): void {
  const from = openSync(file, 'r');
  try {
    const piece = new Uint8Array(Math.min(COPIED, end - begin));
    for (let at = begin; at < end; ) {
      const count = readSync(from, piece, 0, Math.min(piece.length, end - at), at);
      if (count === 0) {
        throw new Error(`${file} ends at ${at}, before byte ${end}`);
      }
      write(piece.subarray(0, count));
      at += count;
    }
  } finally {
    closeSync(from);
  }
}

/** `model.safetensors.index.json`. */
export const shardIndex = (shards: readonly Shard[]): Record<string, unknown> => ({
  metadata: { total_size: shards.reduce((sum, { bytes }) => sum + bytes, 0) },
  weight_map: Object.fromEntries(shards.flatMap(({ file, names }) => names.map((name) => [name, file]))),
});
