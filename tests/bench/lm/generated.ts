/** A Llama of 61 million parameters (245 MB) with random weights, written once into the temporary folder. */
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { saveFolder } from '../../../gpu-worker/lm/save.ts';
import { listWeights } from '../../../shared/models/architecture.ts';
import { familyOf, parseArchitecture } from '../../../shared/models/describe.ts';

export const CONFIG = {
  model_type: 'llama',
  vocab_size: 32000,
  hidden_size: 512,
  intermediate_size: 1376,
  num_hidden_layers: 9,
  num_attention_heads: 8,
  num_key_value_heads: 8,
  max_position_embeddings: 1024,
  hidden_act: 'silu',
  rms_norm_eps: 1e-5,
  tie_word_embeddings: false,
};

export function generatedLlama(): string {
  const folder = join(tmpdir(), 'sextant-bench-llama-61m');
  if (existsSync(folder)) return folder;
  const a = parseArchitecture(CONFIG);
  const shapes = new Map(listWeights(familyOf('llama').weights(a)).map(({ name, shape }) => [name, shape]));
  let state = 12345;
  const uniform = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32 - 0.5;
  };
  saveFolder(folder, a, (name) => {
    const shape = shapes.get(name)!;
    const values = new Float32Array(shape.reduce((x, y) => x * y, 1));
    if (shape.length === 1) return values.fill(1);
    const scale = Math.sqrt(12 / shape[1]!);
    return values.map(() => uniform() * scale);
  });
  return folder;
}
