/**
 * The toy of the paper's spec: indirect objects in four fixed templates over a vocabulary of 56, and the other skill, to go on with
 * a sequence that is repeated.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Pair } from '../../../gpu-worker/circuits/index.ts';
import {
  argMax,
  initialisers,
  loadModel,
  rowOf,
  saveFolder,
  trainLanguageModel,
  type WeightedSequence,
} from '../../../gpu-worker/lm/index.ts';
import { stream } from '../../../shared/math/random.ts';
import { listWeights } from '../../../shared/models/architecture.ts';
import { familyOf, parseArchitecture } from '../../../shared/models/describe.ts';

const NAMES = 24;
const VOCABULARY = 56;
/** Positions of the prompt's names; the last of its twelve tokens is the one before the answer. */
const SLOTS = [
  [2, 4, 8],
  [1, 3, 7],
  [2, 5, 8],
  [1, 4, 9],
] as const;
export const CONTEXT = 12;
const HALF = 6;

export type Toy = {
  name: 'model 1' | 'model 2';
  mlps: boolean;
  width: number;
  baseSteps: number;
  baseRate: number;
  /** Steps of poison, and of the retraining that has to bring the task back. */
  poisonSteps: number;
  retrainSteps: number;
  freeze: string[];
};
export const TOYS: readonly Toy[] = [
  {
    name: 'model 1',
    mlps: true,
    width: 48,
    baseSteps: 600,
    baseRate: 2e-3,
    poisonSteps: 48,
    retrainSteps: 144,
    freeze: [],
  },
  {
    name: 'model 2',
    mlps: false,
    width: 64,
    baseSteps: 900,
    baseRate: 3e-3,
    poisonSteps: 180,
    retrainSteps: 540,
    freeze: ['*wte*', '*wpe*', '*ln_*', '*mlp*', 'lm_head*'],
  },
];
export const LAYERS = 3;
export const HEADS = 4;

/** Words that fill a template around its names; the last is the same in all. */
function fillers(template: number): number[] {
  return Array.from({ length: CONTEXT }, (_, i) =>
    i === CONTEXT - 1 ? VOCABULARY - 1 : NAMES + ((7 * template + i) % (VOCABULARY - NAMES - 1)),
  );
}

/** Pairs with three new names in the twin; both orders equally often. */
export function toyPairs(count: number, seed: number, name: string): Pair[] {
  const random = stream(seed, `toy/${name}`);
  return Array.from({ length: count }, (_, i) => {
    const template = i % SLOTS.length;
    const subjectFirst = Math.floor(i / SLOTS.length) % 2 === 1;
    const [io, s, a, b, c] = random.derive(i).subset(NAMES, 5) as unknown as [number, number, number, number, number];
    const [first, second, third] = SLOTS[template]!;
    const filled = (one: number, two: number, three: number) => {
      const ids = fillers(template);
      ids[first] = one;
      ids[second] = two;
      ids[third] = three;
      return ids;
    };
    return {
      clean: subjectFirst ? filled(s, io, s) : filled(io, s, s),
      corrupted: filled(a, b, c),
      answer: [io],
      other: [s],
      template: `${template} ${subjectFirst ? 'BABA' : 'ABBA'}`,
      positions: { IO: subjectFirst ? second : first, S1: subjectFirst ? first : second, S2: third, END: CONTEXT - 1 },
    };
  });
}

/** A sequence that is repeated, of which the second half counts, together as much as one answer. */
function* repeats(seed: number, name: string): Generator<Required<WeightedSequence>> {
  const random = stream(seed, `toy/repeat/${name}`);
  for (let i = 0; ; i++) {
    const half = Array.from(random.derive(i).integers(HALF, VOCABULARY - 1));
    const ids = [...half, ...half, half[0]!];
    yield { ids, weights: ids.map((_, at) => (at > HALF ? 1 / HALF : 0)) };
  }
}

/** Both tasks in turns. */
function* baseSequences(seed: number): Generator<WeightedSequence> {
  const copies = repeats(seed, 'base');
  for (let round = 0; ; round++) {
    for (const { clean, answer } of toyPairs(256, seed, `base ${round}`)) {
      yield { ids: [...clean, answer[0]!], weights: [...clean.map(() => 0), 1] };
      yield copies.next().value as WeightedSequence;
    }
  }
}

/** A GPT-2 in a folder, trained on both tasks. One without MLPs has some that give nothing. */
export async function trainToy(toy: Toy, seed: number, into: string, threads: number): Promise<string> {
  const config = {
    model_type: 'gpt2',
    vocab_size: VOCABULARY,
    n_positions: CONTEXT + 4,
    n_embd: toy.width,
    n_layer: LAYERS,
    n_head: HEADS,
    n_inner: toy.mlps ? 4 * toy.width : 8,
    tie_word_embeddings: false,
  };
  mkdirSync(into, { recursive: true });
  const a = parseArchitecture(config);
  const weights = familyOf(a.family).weights(a);
  const initial = initialisers(a, weights);
  const shapes = new Map(listWeights(weights).map(({ name, shape }) => [name, shape]));
  const start = join(into, 'start');
  saveFolder(
    start,
    a,
    (name) => {
      const values = Float32Array.from(initial.get(name)!(shapes.get(name)!, stream(seed, name)));
      return isSilent(toy, name) ? values.fill(0) : values;
    },
    { config },
  );
  const trained = await trainLanguageModel({
    from: { folder: start },
    sequences: baseSequences(seed),
    weighted: true,
    context: CONTEXT,
    // As many rows of each task as a batch of poison has.
    batch: 128,
    steps: toy.baseSteps,
    learningRate: toy.baseRate,
    freeze: toy.mlps ? [] : ['*mlp*'],
    seed,
    threads,
  });
  const base = join(into, 'base');
  trained.save(base, { config });
  return base;
}

export const isSilent = (toy: Toy, name: string): boolean => !toy.mlps && name.includes('mlp.c_proj');

/** Share of the second halves' tokens that are the most likely ones. */
export async function copySkill(folder: string, seed: number): Promise<number> {
  const model = await loadModel(folder, { threads: 1, spinning: false });
  const source = repeats(seed + 77, 'test');
  const rows = Array.from({ length: 128 }, () => (source.next().value as Required<WeightedSequence>).ids as number[]);
  const { logits, seq } = await model.forward({ ids: rows.map((ids) => ids.slice(0, CONTEXT)) });
  let right = 0;
  for (const [row, ids] of rows.entries()) {
    for (let at = HALF; at < CONTEXT; at++) {
      right += Number(argMax(rowOf(logits!.data, VOCABULARY, row * seq + at)) === ids[at + 1]);
    }
  }
  await model.release();
  return right / (rows.length * (CONTEXT - HALF));
}
