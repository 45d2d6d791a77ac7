/**
 * The codes of many rows as safetensors shards, each in compressed rows as of a sparse matrix: `starts` [rows + 1] (int64),
 * `latents` and `codes` [entries], the latents of a row in ascending order, and `errors` [rows], |x - x_hat|^2 / |x|^2.
 */
import type { Blob } from '../../../shared/contracts/manifest.ts';
import { floatTensor, writeSafetensors } from '../../../shared/formats/safetensors.ts';
import { SHARD_CODES } from '../../../shared/jobs/sae.encode.ts';
import type { SparseCodes } from '../../sae/index.ts';
import type { JobContext } from '../handler.ts';

export class CodeShards {
  readonly blobs: Blob[] = [];
  readonly #context: Pick<JobContext<unknown>, 'artefact'>;
  #counts: number[] = [];
  #latents: number[] = [];
  #codes: number[] = [];
  #errors: number[] = [];

  constructor(context: Pick<JobContext<unknown>, 'artefact'>) {
    this.#context = context;
  }

  /** @param errors of every row */
  async add({ rows, starts, latents, values }: SparseCodes, errors: readonly number[]): Promise<void> {
    for (let row = 0; row < rows; row++) {
      const entries = [];
      for (let entry = starts[row] ?? 0; entry < (starts[row + 1] ?? 0); entry++) {
        const [latent, code] = [latents[entry] ?? 0, values[entry] ?? 0];
        if (code !== 0) {
          entries.push({ latent, code });
        }
      }
      entries.sort((a, b) => a.latent - b.latent);
      this.#counts.push(entries.length);
      this.#errors.push(errors[row] ?? 0);
      for (const { latent, code } of entries) {
        this.#latents.push(latent);
        this.#codes.push(code);
      }
      if (this.#codes.length + this.#counts.length >= SHARD_CODES) {
        await this.#close();
      }
    }
  }

  /** Writes what is left. */
  async finish(): Promise<void> {
    if (this.#counts.length > 0) {
      await this.#close();
    }
  }

  async #close(): Promise<void> {
    const starts = new BigInt64Array(this.#counts.length + 1);
    for (const [i, count] of this.#counts.entries()) {
      starts[i + 1] = (starts[i] ?? 0n) + BigInt(count);
    }
    const latents = Int32Array.from(this.#latents);
    const bytes = writeSafetensors([
      { name: 'starts', dtype: 'I64', shape: [starts.length], bytes: new Uint8Array(starts.buffer) },
      { name: 'latents', dtype: 'I32', shape: [latents.length], bytes: new Uint8Array(latents.buffer) },
      floatTensor('codes', [latents.length], Float32Array.from(this.#codes)),
      floatTensor('errors', [this.#errors.length], Float32Array.from(this.#errors)),
    ]);
    const name = `codes-${String(this.blobs.length).padStart(5, '0')}.safetensors`;
    this.blobs.push(await this.#context.artefact(name, 'application/octet-stream', bytes));
    [this.#counts, this.#latents, this.#codes, this.#errors] = [[], [], [], []];
  }
}
