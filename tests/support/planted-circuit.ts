/**
 * A GPT-2 with a circuit planted by hand: a head that looks one token back, an induction head that finds what followed the last
 * token before, and an MLP that lets it through at the last position alone. Nothing else does anything. A large constant in two
 * entries of the stream fixes the norms' scales.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Pair } from '../../gpu-worker/circuits/tasks/pair.ts';
import { saveFolder } from '../../gpu-worker/lm/weights/save.ts';
import { stream } from '../../shared/math/random.ts';
import { listWeights } from '../../shared/models/architecture.ts';
import { familyOf, parseArchitecture } from '../../shared/models/describe.ts';

export type Planting = {
  vocabulary: number;
  length: number;
  heads: number;
  layers: number;
  /** Layer and head. */
  previous: readonly [number, number];
  induction: readonly [number, number];
  /** Layer of the MLP, not before the induction head's. */
  gate: number;
};
export const PLANTED: Planting = {
  vocabulary: 12,
  length: 8,
  heads: 4,
  layers: 2,
  previous: [0, 0],
  induction: [1, 1],
  gate: 1,
};

/** Deeper, with more heads and the three parts elsewhere. */
export const LARGER: Planting = {
  vocabulary: 14,
  length: 9,
  heads: 5,
  layers: 3,
  previous: [0, 3],
  induction: [1, 4],
  gate: 2,
};

const CONSTANT = 60;
const HEAD = 16;

/** The edges over which a change of the pair of tokens reaches the answer. */
export const plantedEdges = ({ previous: [p, ph], induction: [i, ih], gate }: Planting): string[] => [
  `input->a${p}.h${ph}<v>`,
  `a${p}.h${ph}->a${i}.h${ih}<k>`,
  `input->a${i}.h${ih}<v>`,
  `a${i}.h${ih}->m${gate}`,
  `m${gate}->logits`,
];

/** Writes the model; `remove` deletes it. */
export function plantedCircuit(planting: Planting): { folder: string; remove: () => void } {
  const { vocabulary: v, length, heads, layers, previous, induction, gate } = planting;
  const width = HEAD * heads;
  // Parts of the stream: tokens, positions, the token before, what was found, what is let through, the gate, two constants.
  const at = {
    token: 0,
    position: v,
    before: v + length,
    found: 2 * v + length,
    out: 3 * v + length,
    gate: width - 3,
    constant: width - 2,
  };
  if (4 * v + length + 3 > width || v > HEAD || length > HEAD) {
    throw new Error('the stream is too narrow for what is planted');
  }
  const config = {
    model_type: 'gpt2',
    vocab_size: v,
    n_positions: length,
    n_embd: width,
    n_layer: layers,
    n_head: heads,
    n_inner: v,
    activation_function: 'relu',
    tie_word_embeddings: false,
  };
  const a = parseArchitecture(config);
  const parent = mkdtempSync(join(tmpdir(), 'sextant-planted-'));
  const folder = join(parent, 'model');
  const shapes = new Map(listWeights(familyOf(a.family).weights(a)).map(({ name, shape }) => [name, shape]));
  // A score of this size gives the head's place nine tenths of its attention.
  const score = Math.log(9 * (length - 1));
  const strength = Math.sqrt(score * Math.sqrt(HEAD));
  saveFolder(
    folder,
    a,
    (name) => {
      const shape = shapes.get(name)!;
      const values = new Float32Array(shape.reduce((product, n) => product * n, 1));
      const columns = shape.at(-1)!;
      const set = (row: number, column: number, value: number) => {
        values[row * columns + column] = value;
      };
      const layer = Number(/h\.(\d+)\./.exec(name)?.[1] ?? -1);
      const each = (count: number, run: (i: number) => void) => Array.from({ length: count }, (_, i) => i).forEach(run);
      const slot = (part: 0 | 1 | 2, head: number, i: number) => part * width + head * HEAD + i;
      if (name.endsWith('wte.weight')) {
        each(v, (token) => set(token, at.token + token, 1));
      } else if (name.endsWith('wpe.weight')) {
        each(length, (position) => {
          set(position, at.position + position, 1);
          set(position, at.gate, Number(position === length - 1));
          set(position, at.constant, CONSTANT);
          set(position, at.constant + 1, -CONSTANT);
        });
      } else if (/ln_(1|2|f)\.weight$/.test(name)) {
        values.fill(CONSTANT * Math.sqrt(2 / width));
      } else if (name.endsWith('attn.c_attn.weight')) {
        if (layer === previous[0]) {
          each(length, (position) => {
            set(at.position + position, slot(0, previous[1], position), strength);
            if (position + 1 < length) {
              set(at.position + position, slot(1, previous[1], position + 1), strength);
            }
          });
          each(v, (token) => set(at.token + token, slot(2, previous[1], token), 1));
        }
        if (layer === induction[0]) {
          each(v, (token) => {
            set(at.token + token, slot(0, induction[1], token), strength);
            set(at.before + token, slot(1, induction[1], token), strength / 0.9);
            set(at.token + token, slot(2, induction[1], token), 1);
          });
        }
      } else if (name.endsWith('attn.c_proj.weight')) {
        if (layer === previous[0]) {
          each(v, (token) => set(previous[1] * HEAD + token, at.before + token, 1));
        }
        if (layer === induction[0]) {
          each(v, (token) => set(induction[1] * HEAD + token, at.found + token, 1));
        }
      } else if (name.endsWith('mlp.c_fc.weight') && layer === gate) {
        each(v, (token) => {
          set(at.found + token, token, 1);
          set(at.gate, token, 1);
        });
      } else if (name.endsWith('mlp.c_fc.bias') && layer === gate) {
        values.fill(-1);
      } else if (name.endsWith('mlp.c_proj.weight') && layer === gate) {
        each(v, (token) => set(token, at.out + token, 1));
      } else if (name.endsWith('lm_head.weight')) {
        each(v, (token) => set(token, at.out + token, 5));
      }
      return values;
    },
    { config },
  );
  return { folder, remove: () => rmSync(parent, { recursive: true }) };
}

/** Prompts ... A B ... A, after which B comes; the twin has other tokens in the places of the first A and of B. */
export function plantedPairs({ vocabulary, length }: Planting, count: number, seed: number): Pair[] {
  const random = stream(seed, 'planted/pairs');
  return Array.from({ length: count }, (_, i) => {
    const own = random.derive(i);
    const [a, b, c, d, ...others] = Array.from(own.subset(vocabulary, vocabulary)) as [
      number,
      number,
      number,
      number,
      ...number[],
    ];
    const place = 1 + own.derive('place').integers(1, length - 4)[0]!;
    const clean = Array.from({ length }, (_, at) => others[(at + i) % others.length]!);
    clean[length - 1] = a;
    const corrupted = [...clean];
    [clean[place], clean[place + 1]] = [a, b];
    [corrupted[place], corrupted[place + 1]] = [c, d];
    return { clean, corrupted, answer: [b], other: [d], template: null };
  });
}
