/** What a language model loses when a site is replaced by its reconstruction, with the controls that give it a scale. */

import { logitPositions } from '../../../shared/models/pass-size.ts';
import { type ForwardResult, klDivergence, type LanguageModel, passes, rowOf } from '../../lm/index.ts';
import { Encoder } from '../codes/encoder.ts';
import { encodeActivations, reconstruct, type TrainedSae } from './evaluate.ts';

/** Ways of replacing the site: by its reconstruction, by zeros, by its mean, by itself. */
const SPLICES = ['spliced', 'zero', 'mean', 'identity'] as const;
type Splice = (typeof SPLICES)[number];

type LossRecovered = {
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

/** The same with what a study needs beside it. */
export type SiteScores = LossRecovered & {
  /** The same against another model on the same tokens, where one was given: its loss, KL(it || changed), and the share. */
  reference: { loss: number; kl: Record<Splice, number>; recovered: number | null } | null;
  /** Of each sequence: predicted tokens, summed loss untouched, spliced, and with zeros. */
  by_sequence: { tokens: number; original: number; spliced: number; zero: number }[];
};

type SiteOptions = {
  /** Mean activation, for the control. */
  mean: ArrayLike<number>;
  /** Sequences per forward pass. */
  pass?: number;
  encoder?: Encoder;
  /** A model of the same vocabulary that the changed model is compared with as well, such as the dense one. */
  reference?: LanguageModel | null;
};

type Totals = {
  tokens: number;
  original: number;
  loss: number;
  kl: number;
  referenceLoss: number;
  referenceKl: number;
  sequences: { tokens: number; original: number; loss: number }[];
};
type Replace = (x: Float32Array) => Float32Array | Promise<Float32Array>;

/** A site of a model on some sequences. The controls do not depend on the autoencoder: they are measured once. */
export class Site {
  readonly #model: LanguageModel;
  readonly #hook: string;
  readonly #sequences: readonly ArrayLike<number>[];
  readonly #options: Required<SiteOptions>;
  #controls: Promise<Record<Exclude<Splice, 'spliced'>, Totals>> | undefined;

  constructor(
    model: LanguageModel,
    hook: string,
    sequences: readonly ArrayLike<number>[],
    { mean, pass = 8, encoder = new Encoder({ threads: 2 }), reference = null }: SiteOptions,
  ) {
    this.#model = model;
    this.#hook = hook;
    this.#sequences = sequences;
    this.#options = { mean, pass, encoder, reference };
  }

  /**
   * Splices at every position but special tokens. The reconstruction is that of the very tokens it replaces. Values are
   * exchanged on the host, so that every variant is spliced by the codes it is evaluated with.
   */
  async lossRecovered(sae: TrainedSae): Promise<LossRecovered> {
    const { reference: _reference, by_sequence: _sequences, ...loss } = await this.scores(sae);
    return loss;
  }

  /** As `lossRecovered`, also against the reference and by sequence. */
  async scores(sae: TrainedSae): Promise<SiteScores> {
    const { mean, encoder } = this.#options;
    this.#controls ??= this.#measureControls(mean);
    const controls = await this.#controls;
    const spliced = await this.#replaced(async (x) => reconstruct(sae, await encodeActivations(sae, x, encoder)));
    const all: Record<Splice, Totals> = { spliced, ...controls };
    const { tokens } = spliced;
    const per = (value: (totals: Totals) => number) =>
      Object.fromEntries(SPLICES.map((splice) => [splice, value(all[splice]) / tokens])) as Record<Splice, number>;
    const original = spliced.original / tokens;
    const cross_entropy = per(({ loss }) => loss);
    const recovered = (control: number): number | null =>
      control === original ? null : (cross_entropy.spliced - control) / (original - control);
    const referenceLoss = spliced.referenceLoss / tokens;
    const share = (loss: number, control: number) =>
      control === loss ? null : (cross_entropy.spliced - control) / (loss - control);
    return {
      reference: this.#options.reference
        ? {
            loss: referenceLoss,
            kl: per(({ referenceKl }) => referenceKl),
            recovered: share(referenceLoss, cross_entropy.zero),
          }
        : null,
      by_sequence: spliced.sequences.map((of, i) => ({
        tokens: of.tokens,
        original: of.original,
        spliced: of.loss,
        zero: controls.zero.sequences[i]!.loss,
      })),
      tokens,
      original,
      cross_entropy,
      kl: per(({ kl }) => kl),
      recovered: recovered(cross_entropy.zero),
      recovered_from_mean: recovered(cross_entropy.mean),
    };
  }

  async #measureControls(mean: ArrayLike<number>) {
    const width = this.#model.widthAt(this.#hook)!;
    return {
      zero: await this.#replaced((x) => new Float32Array(x.length)),
      mean: await this.#replaced((x) => x.map((_, i) => mean[i % width]!)),
      identity: await this.#replaced((x) => x),
    };
  }

  /** Sums over the predicted tokens, untouched and with the site replaced. */
  async #replaced(replace: Replace): Promise<Totals> {
    const model = this.#model;
    const hook = this.#hook;
    const special = model.tokenizer?.special ?? new Set<number>();
    const { vocabulary } = model.architecture;
    const totals: Totals = { tokens: 0, original: 0, loss: 0, kl: 0, referenceLoss: 0, referenceKl: 0, sequences: [] };
    const { reference } = this.#options;
    for await (const ids of passes(model, this.#sequences, this.#options.pass, logitPositions(vocabulary))) {
      const plain = await model.forward({ ids, taps: [hook], losses: true });
      const x = plain.taps[hook]!.data;
      const values = keepSpecial(await replace(x), x, ids, plain, special);
      const changed = await model.forward({ ids, losses: true, interventions: [{ kind: 'replace', hook, values }] });
      const counted = [...plain.losses!.keys()].filter((i) => !Number.isNaN(plain.losses![i]!));
      totals.tokens += counted.length;
      totals.original += sum(plain.losses!, counted);
      totals.loss += sum(changed.losses!, counted);
      const other = reference && (await reference.forward({ ids, losses: true }));
      if (other) {
        totals.referenceLoss += sum(other.losses!, counted);
      }
      for (const row of counted) {
        const [p, q] = [plain, changed].map(({ logits }) => rowOf(logits!.data, vocabulary, row));
        totals.kl += klDivergence(p!, q!);
        if (other) {
          totals.referenceKl += klDivergence(rowOf(other.logits!.data, vocabulary, row), q!);
        }
      }
      for (let r = 0; r < ids.length; r++) {
        const own = counted.filter((row) => Math.floor(row / plain.seq) === r);
        totals.sequences.push({
          tokens: own.length,
          original: sum(plain.losses!, own),
          loss: sum(changed.losses!, own),
        });
      }
    }
    return totals;
  }
}

const sum = (values: Float32Array, at: readonly number[]): number => at.reduce((total, i) => total + values[i]!, 0);

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
      if (!special.has(row[i]!)) {
        continue;
      }
      const at = (r * seq + seq - row.length + i) * width;
      out.set(x.subarray(at, at + width), at);
    }
  });
  return out;
}
