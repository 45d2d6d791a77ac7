/** One autoencoder on a dense model and, as it was, trained again and pruned, on compressed copies of it. */
import { SextantError } from '../../../shared/contracts/problem.ts';
import { type LanguageModel, tokenText } from '../../lm/index.ts';
import {
  activationStatistics,
  type Encoder,
  encodeActivations,
  type HeldOut,
  labelledTasks,
  reconstruct,
  type SparseCodes,
  type TrainedSae,
} from '../../sae/index.ts';
import { requireOneShape } from '../compare.ts';
import type { Products } from '../statistics/products.ts';
import { errorBound } from './error-bound.ts';
import { type LatentDrift, latentDrift } from './latent-drift.ts';
import { prunedSae } from './pruned-sae.ts';
import type { Matching, Retrained } from './retraining.ts';
import { SaeNormSums } from './sae-norms.ts';
import type { SaeRule } from './sae-pruning.ts';
import { requireMatchedL0, scoreVariants, type VariantOf, type VariantScores } from './sae-variants.ts';

type Task = Parameters<typeof labelledTasks>[3];
type LabelledScores = VariantScores & { labelled: Awaited<ReturnType<typeof labelledTasks>>[] };

type StudyOptions = {
  sae: TrainedSae;
  hook: string;
  /** The held-out activations of a model, of the same text for every one. */
  read(model: LanguageModel): Promise<HeldOut>;
  /** Texts with labels as token ids of a model. */
  labelled(model: LanguageModel): Task[];
  /** Sequences on which the loss is measured. */
  lossSequences: number;
  /** How the autoencoder is pruned, and to which shares of zeros. */
  rule: SaeRule;
  shares: readonly number[];
  /** Whether the retrained one may keep another number of latents. */
  allowUnmatched: boolean;
  seed: number;
  encoder: Encoder;
  products: Products;
};

export type CopyResult = {
  variants: LabelledScores[];
  drift: LatentDrift;
  /** Null: not trained again. */
  retraining: Retrained['kind'] | null;
  coefficient: Retrained['coefficient'];
  bound: ReturnType<typeof errorBound> | null;
};

/** Codes other than 0 of a token, on average. */
const l0Of = ({ rows, values }: SparseCodes): number =>
  rows > 0 ? values.reduce((count, value) => count + (value === 0 ? 0 : 1), 0) / rows : 0;

export class CompressionStudy {
  readonly #dense: LanguageModel;
  readonly #options: StudyOptions;
  /** Of the dense model. */
  readonly #before: HeldOut;
  readonly #codes: SparseCodes;

  private constructor(dense: LanguageModel, options: StudyOptions, before: HeldOut, codes: SparseCodes) {
    this.#dense = dense;
    this.#options = options;
    this.#before = before;
    this.#codes = codes;
  }

  static async open(dense: LanguageModel, options: StudyOptions): Promise<CompressionStudy> {
    const before = await options.read(dense);
    return new CompressionStudy(
      dense,
      options,
      before,
      await encodeActivations(options.sae, before.x, options.encoder),
    );
  }

  get tokens(): number {
    return this.#before.tokens.length;
  }

  /** The autoencoder on the dense model. */
  async reference(): Promise<LabelledScores> {
    const variants = [{ variant: 'dense', share: null, sae: this.#options.sae }];
    const [found] = await this.#scores(this.#dense, this.#before, variants);
    if (!found) {
      throw new RangeError('one variant has one score');
    }
    return found;
  }

  /**
   * @param again the autoencoder trained on the copy's own activations, where that was asked for
   * @param pointer to the copy among the params
   * @throws SextantError `data_invalid` for a copy of another shape or tokenizer, and for a retrained autoencoder that is
   *   sparser or denser than it was
   */
  async copy(
    model: LanguageModel,
    again: ((matching: Matching | null) => Promise<Retrained>) | null,
    pointer: string,
  ): Promise<CopyResult> {
    const { sae, encoder, products, rule, shares, allowUnmatched } = this.#options;
    requireOneShape(this.#dense, model, `${pointer}/model`);
    const held = await this.#options.read(model);
    if (held.x.length !== this.#before.x.length) {
      throw new SextantError('data_invalid', `${pointer}/model: its tokenizer cuts the corpus in another way`);
    }
    const after = await encodeActivations(sae, held.x, encoder);
    const text = tokenText(this.#dense);
    const textOf = (row: number) => text(this.#before.tokens[row]!);
    const drift = latentDrift(this.#codes, after, sae.parameters.width, textOf);
    const matching = {
      l0: l0Of(after),
      l0Of: async (candidate: TrainedSae) => l0Of(await encodeActivations(candidate, held.x, encoder)),
    };
    const retrained = again && (await again(allowUnmatched ? null : matching));
    const sums = new SaeNormSums(sae);
    await sums.add(held.x, encoder, products);
    const variants = await this.#scores(model, held, [
      { variant: 'transferred', share: null, sae },
      ...(retrained ? [{ variant: 'retrained', share: null, sae: retrained.sae, retrained: true }] : []),
      ...shares.map((share) => ({ variant: 'pruned', share, sae: prunedSae(sae, share, rule, sums.norms()) })),
    ]);
    const [transferred, second] = variants;
    if (retrained && transferred && second && !allowUnmatched) {
      requireMatchedL0(transferred.l0, second.l0, pointer);
    }
    return {
      variants,
      drift,
      retraining: retrained?.kind ?? null,
      coefficient: retrained?.coefficient ?? null,
      bound:
        sae.variant === 'relu'
          ? errorBound(sae, this.#before.x, reconstruct(sae, this.#codes), held.x, reconstruct(sae, after))
          : null,
    };
  }

  async #scores(model: LanguageModel, held: HeldOut, variants: readonly VariantOf[]): Promise<LabelledScores[]> {
    const { hook, encoder, seed, sae, lossSequences } = this.#options;
    const scores = await scoreVariants(variants, {
      model,
      dense: model === this.#dense ? null : this.#dense,
      hook,
      held,
      sequences: lossSequences,
      mean: activationStatistics(held.x, sae.parameters.inputs).mean,
      encoder,
      seed,
    });
    const tasks = this.#options.labelled(model);
    const found: LabelledScores[] = [];
    for (const [i, own] of scores.entries()) {
      const labelled = [];
      for (const task of tasks) {
        labelled.push(await labelledTasks(model, hook, variants[i]?.sae ?? sae, task, { encoder, seed }));
      }
      found.push({ ...own, labelled });
    }
    return found;
  }
}
