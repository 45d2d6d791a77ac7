/** What a language model loses when a site is replaced by its reconstruction, with the controls that give it a scale. */
import { groups } from '../lm/activations.ts';
import { klDivergence, rowOf } from '../lm/evaluate.ts';
import type { ForwardResult, LanguageModel } from '../lm/model.ts';
import { Encoder } from './encoder.ts';
import { encodeActivations, reconstruct, type TrainedSae } from './evaluate.ts';

/** Ways of replacing the site: by its reconstruction, by zeros, by its mean, by itself. */
const SPLICES = ['spliced', 'zero', 'mean', 'identity'] as const;
type Splice = (typeof SPLICES)[number];

export type LossRecovered = {
  tokens: number;
  /** Mean next-token cross-entropy in nats: untouched, and under each replacement. */
  original: number;
  cross_entropy: Record<Splice, number>;
  /** Mean KL divergence of the untouched from the changed next-token distribution, nats. */
  kl: Record<Splice, number>;
  /** (H - H_control) / (H_original - H_control): 1 for a perfect reconstruction, 0 for the control. */
  recovered: number | null;
  recovered_from_mean: number | null;
};

export type LossRecoveredOptions = {
  /** Mean activation, for the control. */
  mean: ArrayLike<number>;
  /** Sequences per forward pass. */
  pass?: number;
  encoder?: Encoder;
};

/**
 * Splices at every position but special tokens. The reconstruction is that of the very tokens it replaces. Values are
 * exchanged on the host, so that every variant is spliced by the codes it is evaluated with.
 */
export async function lossRecovered(
  model: LanguageModel,
  hook: string,
  sae: TrainedSae,
  sequences: Iterable<ArrayLike<number>>,
  { mean, pass = 8, encoder = new Encoder({ threads: 2 }) }: LossRecoveredOptions,
): Promise<LossRecovered> {
  const special = model.tokenizer?.special ?? new Set<number>();
  const losses = { original: 0, spliced: 0, zero: 0, mean: 0, identity: 0 };
  const kl = { spliced: 0, zero: 0, mean: 0, identity: 0 };
  let tokens = 0;
  for await (const ids of groups(sequences, pass)) {
    const plain = await model.forward({ ids, taps: [hook], losses: true });
    const x = plain.taps[hook]!.data;
    const values = await replacements(sae, x, mean, encoder);
    const counted = [...plain.losses!.keys()].filter((i) => !Number.isNaN(plain.losses![i]!));
    tokens += counted.length;
    losses.original += sum(plain.losses!, counted);
    for (const splice of SPLICES) {
      const replaced = keepSpecial(values[splice], x, ids, plain, special);
      const changed = await model.forward({
        ids,
        losses: true,
        interventions: [{ kind: 'replace', hook, values: replaced }],
      });
      losses[splice] += sum(changed.losses!, counted);
      const { vocabulary } = model.architecture;
      for (const row of counted) {
        kl[splice] += klDivergence(
          rowOf(plain.logits!.data, vocabulary, row),
          rowOf(changed.logits!.data, vocabulary, row),
        );
      }
    }
  }
  const per = <K extends string>(totals: Record<K, number>): Record<K, number> =>
    Object.fromEntries(Object.entries<number>(totals).map(([key, total]) => [key, total / tokens])) as Record<
      K,
      number
    >;
  const { original, ...cross_entropy } = per(losses);
  const recovered = (control: number): number | null =>
    control === original ? null : (cross_entropy.spliced - control) / (original - control);
  return {
    tokens,
    original,
    cross_entropy,
    kl: per(kl),
    recovered: recovered(cross_entropy.zero),
    recovered_from_mean: recovered(cross_entropy.mean),
  };
}

const sum = (values: Float32Array, at: readonly number[]): number => at.reduce((total, i) => total + values[i]!, 0);

async function replacements(
  sae: TrainedSae,
  x: Float32Array,
  mean: ArrayLike<number>,
  encoder: Encoder,
): Promise<Record<Splice, Float32Array>> {
  const { inputs } = sae.parameters;
  return {
    spliced: reconstruct(sae, await encodeActivations(sae, x, encoder)),
    zero: new Float32Array(x.length),
    mean: Float32Array.from({ length: x.length }, (_, i) => mean[i % inputs]!),
    identity: x,
  };
}

/** The replacement with the values of special tokens left as they were. */
function keepSpecial(
  values: Float32Array,
  x: Float32Array,
  ids: readonly ArrayLike<number>[],
  { seq }: ForwardResult,
  special: ReadonlySet<number>,
): Float32Array {
  const width = x.length / (ids.length * seq);
  const out = values.slice();
  ids.forEach((row, r) => {
    for (let i = 0; i < row.length; i++) {
      if (!special.has(row[i]!)) continue;
      const at = (r * seq + seq - row.length + i) * width;
      out.set(x.subarray(at, at + width), at);
    }
  });
  return out;
}
