/**
 * What a decoder-only transformer computes, in one vocabulary for all families: every switch that changes the arithmetic
 * and nothing else. A family turns its `config.json` into this; the graph is built from this alone.
 */
import type { ConfigReader } from './config-reader.ts';

const ACTIVATIONS = ['silu', 'gelu', 'gelu_tanh', 'relu', 'relu2'] as const;
export type Activation = (typeof ACTIVATIONS)[number];

/**
 * Rotary embedding of the first `dims` entries of each head (an even number); pair i turns by theta^(-2i / period) per
 * position. The period is `dims`, or one less where a partial rotation was given an odd size.
 */
export type Rope = {
  theta: number;
  dims: number;
  period: number;
  scaling:
    | null
    | { kind: 'linear'; factor: number }
    /** The base grows with the length of the text once that is beyond `context` (NTK). */
    | { kind: 'dynamic'; factor: number; context: number }
    /** YaRN: slow pairs divided by `factor`, fast ones kept, a ramp between the pairs that turn `slow` and `fast` times. */
    | {
        kind: 'yarn';
        factor: number;
        fast: number;
        slow: number;
        truncate: boolean;
        originalContext: number;
        attentionFactor: number;
      }
    /** The frequency of each pair divided by a number of its own, `dims / 2` of them; `long` in texts beyond the context. */
    | { kind: 'longrope'; short: number[]; long: number[]; originalContext: number; attentionFactor: number }
    /** Llama 3: low frequencies divided by `factor`, a smooth ramp between the two wavelengths. */
    | { kind: 'llama3'; factor: number; lowFrequency: number; highFrequency: number; originalContext: number };
};

export type Architecture = {
  /** `model_type` of the config. */
  family: string;
  layers: number;
  width: number;
  heads: number;
  /** Key/value heads; divides `heads`. */
  kvHeads: number;
  headDim: number;
  mlpWidth: number;
  vocabulary: number;
  /** Most positions the model was made for. */
  context: number;
  norm: { kind: 'rms' | 'layer'; eps: number /** Gemma stores w - 1. */; weightOffset: 0 | 1 };
  activation: Activation;
  /** Null where positions are a learned table. */
  rope: Rope | null;
  /** A second rotary embedding, of as many entries of each head; null where all layers share one. */
  localRope: Rope | null;
  /** Which of the two turns queries and keys, by layer; null for none. */
  turned: ('rope' | 'localRope' | null)[];
  /** Attention and MLP both read the block's input. */
  parallel: boolean;
  /** Factor of the attention scores, by layer. */
  attentionScale: number[];
  /** Soft caps c tanh(x / c) of the scores and of the logits. */
  attentionCap: number | null;
  logitCap: number | null;
  /** How many positions, itself included, a query sees; by layer, null for all. */
  windows: (number | null)[];
  /** Factor of the embeddings on entering the stream. */
  embeddingScale: number;
  /** Embedding row that learns nothing from being looked up, as the publishers' library trains; null for none. */
  paddingToken: number | null;
  /** The head is the embedding matrix. */
  tied: boolean;
  /** Biases of the query, key and value projections; of the attention's output projection; of the MLP. */
  attentionBias: boolean;
  outputBias: boolean;
  mlpBias: boolean;
  /** Of layers with a mixture of experts: the `perToken` most probable of `count` MLPs of `width` read each token. */
  experts: null | Experts;
};

export type Experts = {
  count: number;
  perToken: number;
  width: number;
  /** The probabilities of the chosen ones are divided by their sum. */
  normalised: boolean;
  /** Which layers have experts in place of an MLP. */
  layers: boolean[];
};

/** The rotary embedding of a layer. */
export const ropeOf = (a: Pick<Architecture, 'rope' | 'localRope' | 'turned'>, layer: number): Rope | null => {
  const kind = a.turned[layer] ?? null;
  return kind && a[kind];
};

/** A stored tensor. */
export type Weight = { name: string; shape: readonly number[] };
/** y = x W' + b with W stored [out, in], or y = x W + b with W stored [in, out]. */
export type Linear = { weight: Weight; bias: Weight | null; layout: 'out_in' | 'in_out' };
export type Norm = { weight: Weight; bias: Weight | null };

/** The three matrices of one expert. */
type ExpertWeights = { gate: Linear; up: Linear; down: Linear };

export type LayerWeights = {
  /** Null where attention reads the stream as it is. */
  attentionNorm: Norm | null;
  /** One projection each, or one for all three: `blocks` = [q | k | v], `heads` = [q | k | v] for each head in turn. */
  qkv: { q: Linear; k: Linear; v: Linear } | { fused: Linear; order: 'blocks' | 'heads' };
  /** Norms before the rotary embedding: over each head's entries, or over all heads' together where they are so wide. */
  queryNorm: Norm | null;
  keyNorm: Norm | null;
  /** Norm over all heads' outputs together, before the output projection. */
  attentionSubNorm: Norm | null;
  output: Linear;
  postAttentionNorm: Norm | null;
  /** Null where the MLP reads the stream as it is. */
  mlpNorm: Norm | null;
  gate: Linear | null;
  /** Null, as `down`, where there are experts. */
  up: Linear | null;
  /** `up` gives [gate | up]. */
  gateInUp: boolean;
  mlpSubNorm: Norm | null;
  down: Linear | null;
  experts: { router: Linear; each: ExpertWeights[] } | null;
  postMlpNorm: Norm | null;
};

export type ModelWeights = {
  embedding: Weight;
  positions: Weight | null;
  layers: LayerWeights[];
  finalNorm: Norm;
  head: Linear;
};

/** What a family file offers. */
export type Family = {
  modelType: string;
  /** The prefix that a file of the bare model (without its head) may lack. */
  prefix: string;
  /** Other names that a weight goes by. */
  aliases?: Readonly<Record<string, string>>;
  architecture(config: ConfigReader): Architecture;
  weights(architecture: Architecture): ModelWeights;
  /** The `config.json` of such a model, as the publisher's library writes it. */
  config(architecture: Architecture): Record<string, unknown>;
};

/** Every stored tensor of a model once, in the order of computation. */
export function listWeights(weights: ModelWeights): Weight[] {
  const found = new Map<string, Weight>();
  const visit = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) {
      return;
    }
    const weight = value as Partial<Weight>;
    if (typeof weight.name === 'string' && Array.isArray(weight.shape)) {
      found.set(weight.name, weight as Weight);
    } else {
      for (const child of Object.values(value)) {
        visit(child);
      }
    }
  };
  visit(weights);
  return [...found.values()];
}

/** How many numbers a model stores. */
export const countParameters = (weights: ModelWeights): number =>
  listWeights(weights).reduce((sum, weight) => sum + weight.shape.reduce((a, b) => a * b, 1), 0);
