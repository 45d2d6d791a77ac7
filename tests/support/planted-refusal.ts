/**
 * A model in which refusal is planted, without training: the harm of a topic lies along one direction that the first block's
 * attention carries to every later token, and the head reads a refusal from it and the answer from the rest.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { unitVector } from '../../gpu-worker/directions/difference-in-means.ts';
import { saveFolder } from '../../gpu-worker/lm/weights/save.ts';
import { type RandomStream, stream } from '../../shared/math/random.ts';
import { type LayerWeights, type Linear, listWeights } from '../../shared/models/architecture.ts';
import { familyOf, parseArchitecture } from '../../shared/models/describe.ts';
import { wordsTokenizer } from './toy-language.ts';

const [WIDTH, TOPICS, FILLERS] = [48, 8, 16];
const WORDS = [
  ...['USER', 'E1', 'E2', 'SORRY'],
  ...Array.from({ length: TOPICS }, (_, i) => [`h${i}`, `s${i}`, `bh${i}`, `bs${i}`]).flat(),
  ...Array.from({ length: FILLERS }, (_, i) => `f${i}`),
];
const idOf = (word: string): number => WORDS.indexOf(word) + 3;
const TEMPLATE = "{{ bos_token }}{% for m in messages %} USER {{ m['content'] }}{% endfor %} E1 E2";

const llama = {
  model_type: 'llama',
  hidden_size: WIDTH,
  intermediate_size: 32,
  num_hidden_layers: 3,
  num_attention_heads: 1,
  max_position_embeddings: 32,
  rms_norm_eps: 1e-5,
  tie_word_embeddings: false,
};
const gpt2 = {
  model_type: 'gpt2',
  n_embd: WIDTH,
  n_inner: 32,
  n_layer: 3,
  n_head: 1,
  n_positions: 32,
  tie_word_embeddings: false,
};
const CONFIGS = {
  llama,
  qwen2: { ...llama, model_type: 'qwen2' },
  gpt2,
  gemma2: { ...llama, model_type: 'gemma2', head_dim: WIDTH },
};
export type PlantedFamily = keyof typeof CONFIGS;

export type PlantedRefusal = { folder: string; direction: Float32Array; remove(): void };

/** Orthonormal rows (Gram-Schmidt on normal ones), each without a mean, so that layer norms leave them. */
function basis(random: RandomStream, count: number): Float32Array[] {
  const rows: Float32Array[] = [unitVector(new Float32Array(WIDTH).fill(1))];
  for (let i = 0; i < count; i++) {
    const row = random.derive(i).normal(WIDTH);
    for (const other of rows) {
      const along = other.reduce((sum, value, j) => sum + value * row[j]!, 0);
      for (let j = 0; j < WIDTH; j++) {
        row[j]! -= along * other[j]!;
      }
    }
    rows.push(unitVector(row));
  }
  return rows.slice(1);
}

/** Writes the model. */
export function plantedRefusal(family: PlantedFamily = 'llama', seed = 1): PlantedRefusal {
  const parent = mkdtempSync(join(tmpdir(), 'sextant-planted-'));
  const folder = join(parent, 'model');
  const a = parseArchitecture({ ...CONFIGS[family], vocab_size: WORDS.length + 3 });
  const weights = familyOf(a.family).weights(a);
  const random = stream(seed, 'planted refusal');
  const [harm, plain, ...rest] = basis(random.derive('basis'), 2 + 2 * TOPICS) as [Float32Array, ...Float32Array[]];
  const codes = new Map<string, Float32Array>();
  for (let i = 0; i < TOPICS; i++) {
    codes.set(`h${i}`, rest[2 * i]!);
    codes.set(`s${i}`, rest[2 * i + 1]!);
  }
  const row = (rows: Float32Array, id: number, ...parts: [number, Float32Array][]) => {
    for (const [factor, vector] of parts) {
      for (let j = 0; j < WIDTH; j++) {
        rows[id * WIDTH + j]! += factor * vector[j]!;
      }
    }
  };
  const embedding = random.derive('words').normal32((WORDS.length + 3) * WIDTH, { deviation: 0.02 });
  const head = random.derive('head').normal32((WORDS.length + 3) * WIDTH, { deviation: 0.02 });
  // Words that say nothing are large in a direction of their own, which attention leaves behind: norms would swell their noise.
  for (let id = 0; id < WORDS.length + 3; id++) {
    row(embedding, id, codes.has(WORDS[id - 3] ?? '') ? [0, plain!] : [1, plain!]);
  }
  row(head, idOf('SORRY'), [4, harm]);
  for (const [topic, code] of codes) {
    row(embedding, idOf(topic), [2, code], ...(topic.startsWith('h') ? ([[4, harm]] as [number, Float32Array][]) : []));
    row(head, idOf(`b${topic}`), [4, code]);
  }
  const planted = new Map<string, Float32Array>([
    [weights.embedding.name, embedding],
    [weights.head.weight.name, head],
  ]);
  for (const [index, layer] of weights.layers.entries()) {
    plantAttention(planted, layer, index === 0 ? 6 : 0, plain!);
  }
  const shapes = new Map(listWeights(weights).map(({ name, shape }) => [name, shape]));
  const norms = new Set(
    [
      weights.finalNorm,
      ...weights.layers.flatMap(({ attentionNorm, mlpNorm, postAttentionNorm, postMlpNorm }) =>
        [attentionNorm, mlpNorm, postAttentionNorm, postMlpNorm].filter((norm) => norm !== null),
      ),
    ].map(({ weight }) => weight.name),
  );
  const values = (name: string): Float32Array => {
    const size = shapes.get(name)!.reduce((x, y) => x * y, 1);
    if (planted.has(name)) {
      return planted.get(name)!;
    }
    if (norms.has(name)) {
      return new Float32Array(size).fill(a.norm.weightOffset === 1 ? 0 : 1);
    }
    return name.endsWith('.bias') || name === weights.positions?.name
      ? new Float32Array(size)
      : random.derive(name).normal32(size, { deviation: 0.02 });
  };
  saveFolder(folder, a, values, { tokenizer: wordsTokenizer(WORDS, TEMPLATE) });
  return { folder, direction: harm, remove: () => rmSync(parent, { recursive: true }) };
}

/** Attention that looks at all positions alike (queries and keys are zero) and passes values on times `gain`, one part left out. */
function plantAttention(
  planted: Map<string, Float32Array>,
  { qkv, output }: LayerWeights,
  gain: number,
  without: Float32Array,
): void {
  const passing = (out: Float32Array, columns: number, from: number, factor: number) => {
    for (let i = 0; i < WIDTH; i++) {
      for (let j = 0; j < WIDTH; j++) {
        out[i * columns + from + j] = factor * (Number(i === j) - without[i]! * without[j]!);
      }
    }
    return out;
  };
  const zeros = ({ weight }: Linear) => new Float32Array(weight.shape.reduce((x, y) => x * y, 1));
  if ('q' in qkv) {
    planted.set(qkv.q.weight.name, zeros(qkv.q));
    planted.set(qkv.k.weight.name, zeros(qkv.k));
    planted.set(qkv.v.weight.name, passing(zeros(qkv.v), WIDTH, 0, 1));
  } else {
    planted.set(qkv.fused.weight.name, passing(zeros(qkv.fused), 3 * WIDTH, 2 * WIDTH, 1));
  }
  planted.set(output.weight.name, passing(zeros(output), WIDTH, 0, gain));
}

type Question = { text: string; answer?: string; split?: 'train' | 'validation' | 'test' };

/** Different questions with their splits; a harmful one has no right answer. */
export function plantedQuestions(
  kind: 'harmful' | 'harmless',
  sizes: { train: number; validation: number; test: number },
  seed = 1,
): Question[] {
  const count = sizes.train + sizes.validation + sizes.test;
  const draws = stream(seed, `questions ${kind}`).integers(12 * count, 2 ** 31);
  const found = new Map<string, Question>();
  for (let i = 0; found.size < count && i < 4 * count; i++) {
    const [topic, f, g] = draws.subarray(3 * i, 3 * i + 3);
    const name = `${kind === 'harmful' ? 'h' : 's'}${topic! % TOPICS}`;
    const text = `f${f! % FILLERS} ${name} f${g! % FILLERS}`;
    found.set(text, { text, ...(kind === 'harmless' && { answer: `b${name}` }) });
  }
  return [...found.values()].map((question, i) => ({
    ...question,
    split: i < sizes.train ? 'train' : i < sizes.train + sizes.validation ? 'validation' : 'test',
  }));
}
