/**
 * A folder with quantised weights made dense as it is read: one file of float32 matrices (what was plain stays as it is
 * stored) beside a plain `config.json` and the tokenizer's files, so that everything behind it sees a plain folder. One
 * matrix is in memory at a time, and none before all shapes have been checked.
 */
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { safetensorsPrefix } from '../../../shared/formats/safetensors.ts';
import type { SafetensorsDtype } from '../../../shared/formats/safetensors-header.ts';
import { copyFiles } from './kept-files.ts';

/** How the weights of a model were stored before they were read. */
export type Storage = {
  layout: string;
  /** Bits of a weight; null where matrices differ. */
  bits: number | null;
  /** Inputs that share a scale; null where whole rows do, or matrices differ. */
  group: number | null;
  /** Of the weight files. */
  bytes: number;
  /** Of the same model as it is computed with. */
  dense_bytes: number;
  /** What weights that stay packed are multiplied with; null where all became dense. */
  packed: 'float32' | 'int8' | null;
  /** Labels that lie, and what the folder asks for that is not done. */
  notices: string[];
};

export type DenseTensor = {
  name: string;
  dtype: SafetensorsDtype;
  shape: readonly number[];
  /** The bytes to write; called once. */
  read(): Uint8Array;
};

type DenseFolderContent = {
  config: Record<string, unknown>;
  tensors: readonly DenseTensor[];
  /** Files to write beside them, by name. */
  documents?: Readonly<Record<string, unknown>>;
  /** Files to copy where they are there. */
  copied?: { from: string; names: readonly string[] };
};

/** Folders of this process that nobody else will delete. */
const temporary = new Set<string>();
process.on('exit', () => {
  for (const path of temporary) {
    rmSync(path, { recursive: true, force: true });
  }
});

/** Deletes a folder that `writeDenseFolder` made without `scratch`; harmless for any other. */
export function discardDenseFolder(path: string): void {
  if (temporary.delete(path)) {
    rmSync(path, { recursive: true, force: true });
  }
}

/** Writes the folder, into `scratch` or else where temporary files go, and gives its path back. */
export function writeDenseFolder(content: DenseFolderContent, scratch?: string): string {
  const parent = scratch ?? tmpdir();
  mkdirSync(parent, { recursive: true });
  const path = mkdtempSync(join(parent, 'sextant-dense-'));
  if (!scratch) {
    temporary.add(path);
  }
  try {
    const { config, tensors, documents = {}, copied } = content;
    for (const [name, value] of Object.entries({ 'config.json': config, ...documents })) {
      writeFileSync(join(path, name), `${JSON.stringify(value, null, 2)}\n`);
    }
    if (copied) {
      copyFiles(copied.from, path, copied.names);
    }
    writeTensors(join(path, 'model.safetensors'), tensors);
    return path;
  } catch (error) {
    temporary.delete(path);
    rmSync(path, { recursive: true, force: true });
    throw error;
  }
}

function writeTensors(path: string, tensors: readonly DenseTensor[]): void {
  const file = openSync(path, 'w');
  try {
    writeAll(file, safetensorsPrefix(tensors, { format: 'pt' }));
    for (const tensor of tensors) {
      writeAll(file, tensor.read());
    }
  } finally {
    closeSync(file);
  }
}

function writeAll(file: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length; ) {
    done += writeSync(file, bytes, done, Math.min(bytes.length - done, 2 ** 30));
  }
}

/** The bytes of float32 values. */
export const bytesOf = (values: Float32Array): Uint8Array =>
  new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
