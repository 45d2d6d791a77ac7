/** Llamas with random weights, each written once into the temporary folder. */
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { saveFolder } from '../../../gpu-worker/lm/weights/save.ts';
import { listWeights } from '../../../shared/models/architecture.ts';
import { familyOf, parseArchitecture } from '../../../shared/models/describe.ts';

/** 61 million parameters (245 MB). */
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

/** As deep as a Llama of 7 thousand million parameters, as wide as the one above: 105 million parameters (421 MB). */
export const DEEP_CONFIG = { ...CONFIG, vocab_size: 4096, num_hidden_layers: 32 };

/** 40 million parameters (162 MB), both widths multiples of 128. */
export const SMALL_CONFIG = { ...CONFIG, vocab_size: 8192, intermediate_size: 1408, num_hidden_layers: 10 };

/** Of 24 blocks and 400 MiB, embeddings and head included. */
export const BLOCKS_CONFIG = { ...CONFIG, vocab_size: 28_304, num_hidden_layers: 24 };

/** The folder of the model of a config. */
export function generatedLlama(config: typeof CONFIG = CONFIG): string {
  const millions = Math.round(parametersOf(config) / 1e6);
  const folder = join(tmpdir(), `sextant-bench-llama-${millions}m-${config.num_hidden_layers}`);
  if (existsSync(folder)) {
    return folder;
  }
  const a = parseArchitecture(config);
  const shapes = new Map(listWeights(familyOf('llama').weights(a)).map(({ name, shape }) => [name, shape]));
  let state = 12345;
  const uniform = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32 - 0.5;
  };
  saveFolder(folder, a, (name) => {
    const shape = shapes.get(name)!;
    const values = new Float32Array(shape.reduce((x, y) => x * y, 1));
    if (shape.length === 1) {
      return values.fill(1);
    }
    const scale = Math.sqrt(12 / shape[1]!);
    return values.map(() => uniform() * scale);
  });
  return folder;
}

const parametersOf = (config: typeof CONFIG): number =>
  listWeights(familyOf('llama').weights(parseArchitecture(config)))
    .map(({ shape }) => shape.reduce((x, y) => x * y, 1))
    .reduce((x, y) => x + y, 0);
