/**
 * One safetensors file of activations in the making: a [tokens, width] tensor per hook and, as int32 [tokens], what the
 * rows are of: `token_ids`, `documents` and `positions` in these, both from 0.
 */
import { createWriteStream } from 'node:fs';
import { rename } from 'node:fs/promises';
import { finished } from 'node:stream/promises';
import { safetensorsPrefix } from '../../../shared/formats/safetensors.ts';
import { float16Bits } from '../../../shared/formats/safetensors-values.ts';
import { named } from '../named.ts';

export type StoredDtype = 'float32' | 'float16';

const PLACES = ['token_ids', 'documents', 'positions'] as const;
type RowPlaces = Readonly<Record<(typeof PLACES)[number], Int32Array>>;

export class ActivationShard {
  tokens = 0;
  readonly #places = new Map<string, Uint8Array[]>(PLACES.map((name) => [name, []]));
  readonly #parts: Map<string, Uint8Array[]>;
  readonly #widths: Readonly<Record<string, number>>;
  readonly #half: boolean;

  /** @param widths by hook */
  constructor(widths: Readonly<Record<string, number>>, dtype: StoredDtype) {
    this.#parts = new Map(Object.keys(widths).map((hook) => [hook, []]));
    this.#widths = widths;
    this.#half = dtype === 'float16';
  }

  add(hook: string, values: Float32Array): void {
    const stored = this.#half ? Uint16Array.from(values, float16Bits) : Float32Array.from(values);
    named(this.#parts, hook).push(new Uint8Array(stored.buffer));
  }

  /** What rows are of that were added at every hook. */
  addPlaces(places: RowPlaces): void {
    for (const name of PLACES) {
      this.#places.get(name)?.push(new Uint8Array(Int32Array.from(places[name]).buffer));
    }
    this.tokens += places.token_ids.length;
  }

  /** Writes the file, which is whole or absent, and gives its path back. */
  async write(file: string): Promise<string> {
    const dtype = this.#half ? ('F16' as const) : ('F32' as const);
    const tensors = [
      ...PLACES.map((name) => ({ name, dtype: 'I32' as const, shape: [this.tokens] })),
      ...[...this.#parts.keys()].map((name) => ({ name, dtype, shape: [this.tokens, named(this.#widths, name)] })),
    ];
    const out = createWriteStream(`${file}.writing`);
    out.write(safetensorsPrefix(tensors));
    for (const parts of [...this.#places.values(), ...this.#parts.values()]) {
      for (const part of parts) {
        out.write(part);
      }
    }
    out.end();
    await finished(out);
    await rename(`${file}.writing`, file);
    return file;
  }
}
