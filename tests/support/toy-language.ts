/** What the two toy languages share: words as a tokenizer, and models that `lm.train` makes of prompts with completions. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Initialiser } from '../../gpu-worker/graph/index.ts';
import { linearsOf } from '../../gpu-worker/lm/index.ts';
import { tokenizerDocument } from '../../gpu-worker/lm/tokenizer/tokenizer-document.ts';
import { initialisers } from '../../gpu-worker/lm/weights/initialise.ts';
import { type SavedTokenizer, saveFolder } from '../../gpu-worker/lm/weights/save.ts';
import { fanIn, normal } from '../../gpu-worker/nn/index.ts';
import contract from '../../shared/jobs/lm.train.ts';
import { stream } from '../../shared/math/random.ts';
import { listWeights, type ModelWeights } from '../../shared/models/architecture.ts';
import { familyOf, parseArchitecture } from '../../shared/models/describe.ts';
import type { LocalJobs } from './job-context.ts';

export type Pair = { prompt: string; completion: string };

/** A tokenizer of whole words: `<s>` begins, `</s>` ends a text. */
export function wordsTokenizer(words: readonly string[], chatTemplate: string | null): SavedTokenizer {
  const special = ['<s>', '</s>', '<unk>'];
  const vocab = Object.fromEntries([...special, ...words].map((word, id) => [word, id]));
  return {
    json: tokenizerDocument({
      special,
      pre_tokenizer: { type: 'WhitespaceSplit' },
      decoder: null,
      model: { type: 'WordLevel', vocab, unk_token: '<unk>' },
    }),
    config: {
      bos_token: '<s>',
      eos_token: '</s>',
      unk_token: '<unk>',
      clean_up_tokenization_spaces: false,
      ...(chatTemplate !== null && { chat_template: chatTemplate }),
    },
  };
}

type Sizes = { layers: number; width: number; heads: number; mlpWidth: number; context: number };
/** Shapes that toys are made in: rotary positions, RMS norms and gated MLPs, or learned positions and layer norms. */
type Shape = 'llama' | 'gpt2';

const configOf = (shape: Shape, words: number, { layers, width, heads, mlpWidth, context }: Sizes) =>
  shape === 'gpt2'
    ? {
        ...{ model_type: 'gpt2', vocab_size: words, n_positions: context, n_embd: width, n_layer: layers },
        ...{ n_head: heads, n_inner: mlpWidth },
      }
    : {
        ...{ model_type: 'llama', vocab_size: words, hidden_size: width, intermediate_size: mlpWidth },
        ...{ num_hidden_layers: layers, num_attention_heads: heads, max_position_embeddings: context },
        ...{ rms_norm_eps: 1e-5, tie_word_embeddings: false },
      };

/** First values as PyTorch's linear modules have them, of variance 1 / (3 inputs), and embeddings of the given deviation. */
function moduleStart(weights: ModelWeights, embeddings: number): Map<string, Initialiser> {
  const tables = [weights.embedding, ...(weights.positions ? [weights.positions] : [])];
  return new Map([
    ...[...weights.layers.flatMap(linearsOf), weights.head].map(
      ({ weight, layout }) => [weight.name, fanIn(layout === 'out_in' ? 1 : 0, 1 / Math.sqrt(3))] as const,
    ),
    ...tables.map(({ name }) => [name, normal(embeddings)] as const),
  ]);
}

/**
 * Puts a new model with random weights under an alias that training can start from.
 * @param embeddings their deviation, where the model starts as PyTorch's modules do; null: as the project's own new models
 */
export function registerStart(
  jobs: LocalJobs,
  alias: string,
  {
    words,
    template,
    seed,
    shape,
    embeddings = null,
    ...sizes
  }: Sizes & {
    words: readonly string[];
    template: string | null;
    seed: number;
    shape: Shape;
    embeddings?: number | null;
  },
): void {
  const folder = join(jobs.folder, `start-${alias}`);
  const tokenizer = wordsTokenizer(words, template);
  const a = parseArchitecture(configOf(shape, words.length + 3, sizes));
  const weights = familyOf(a.family).weights(a);
  const initial = new Map([
    ...initialisers(a, weights),
    ...(embeddings === null ? [] : moduleStart(weights, embeddings)),
  ]);
  const shapes = new Map(listWeights(weights).map(({ name, shape }) => [name, shape]));
  const values = (name: string) =>
    Float32Array.from(initial.get(name)!(shapes.get(name)!, stream(seed, `toy/${name}`)));
  saveFolder(folder, a, values, { tokenizer });
  (jobs.configuration.models as Record<string, string>)[alias] = folder;
}

/** Trains by the job; the id of the model. */
export async function trainOn(
  jobs: LocalJobs,
  name: string,
  pairs: readonly Pair[],
  params: Record<string, unknown>,
): Promise<string> {
  const file = join(jobs.folder, `${name}.jsonl`);
  writeFileSync(file, pairs.map((pair) => JSON.stringify(pair)).join('\n'));
  (jobs.configuration.corpora as Record<string, string>)[name] = file;
  const { result } = await jobs.run(contract, { corpus: { local: name }, pairs: {}, weight_decay: 0, ...params });
  return result.model;
}
