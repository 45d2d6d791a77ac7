/** One safetensors file of activations in the making: a [tokens, width] tensor per hook. */
import { createWriteStream } from 'node:fs';
import { rename } from 'node:fs/promises';
import { finished } from 'node:stream/promises';
import { safetensorsPrefix } from '../../../shared/formats/safetensors.ts';
import { float16Bits } from '../../../shared/formats/safetensors-values.ts';

export type StoredDtype = 'float32' | 'float16';

export class ActivationShard {
  tokens = 0;
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
    this.#parts.get(hook)!.push(new Uint8Array(stored.buffer));
  }

  /** Writes the file, which is whole or absent, and gives its path back. */
  async write(file: string): Promise<string> {
    const dtype = this.#half ? ('F16' as const) : ('F32' as const);
    const tensors = [...this.#parts.keys()].map((name) => ({ name, dtype, shape: [this.tokens, this.#widths[name]!] }));
    const out = createWriteStream(`${file}.writing`);
    out.write(safetensorsPrefix(tensors));
    for (const parts of this.#parts.values()) {
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
