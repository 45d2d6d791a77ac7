/** Autoencoders of one model on the same held-out text: what they share is read and measured once per hook point. */
import type { LanguageModel, Sequence, Tokenizer } from '../../lm/index.ts';
import type { Encoder } from '../codes/encoder.ts';
import { labelledTasks } from '../probes/labelled-tasks.ts';
import type { LabelledText } from '../probes/pooled.ts';
import { spellingAbsorption, type Vocabulary } from '../probes/spelling.ts';
import { activationStatistics } from '../training/initialise.ts';
import { axisScores, type HeldOutAxes } from './axis-scores.ts';
import { measure, reconstruct, type TrainedSae } from './evaluate.ts';
import { type HeldOut, heldOutActivations } from './held-out.ts';
import { metricIntervals } from './intervals.ts';
import { Site } from './loss-recovered.ts';

type EvaluationOptions = {
  encoder: Encoder;
  /** The held-out text from its first sequence on. */
  sequences: () => AsyncIterable<Sequence>;
  /** Tokens to measure on, and sequences of one forward pass. */
  tokens: number;
  pass: number;
  /** Sequences on which reconstructions are spliced into the model; 0: none are. */
  lossSequences: number;
  /** Known axes of the text, or null. */
  axes: HeldOutAxes | null;
  labelled: readonly { name: string; texts: readonly LabelledText[] }[];
  spelling: { tokenizer: Tokenizer; vocabulary: Vocabulary; examples: number } | null;
  seed: number;
  /** Called with the tokens read so far. */
  reading: (tokens: number) => void;
};

export class HeldOutEvaluation {
  readonly #model: LanguageModel;
  readonly #options: EvaluationOptions;
  readonly #heldOut = new Map<string, HeldOut>();
  readonly #sites = new Map<string, Site>();

  constructor(model: LanguageModel, options: EvaluationOptions) {
    this.#model = model;
    this.#options = options;
  }

  /** The hook points that were evaluated at. */
  get hooks(): string[] {
    return [...this.#heldOut.keys()];
  }

  /** Most tokens that an autoencoder was measured on. */
  get tokens(): number {
    return Math.max(...[...this.#heldOut.values()].map(({ tokens }) => tokens.length));
  }

  /** @throws SextantError `hook_unknown`, `data_invalid`, `not_finite` as `heldOutActivations` */
  async heldOut(hook: string): Promise<HeldOut> {
    const known = this.#heldOut.get(hook);
    if (known) {
      return known;
    }
    const { sequences, tokens, pass, reading } = this.#options;
    const held = await heldOutActivations(this.#model, hook, sequences(), { tokens, pass, progress: reading });
    this.#heldOut.set(hook, held);
    return held;
  }

  /** @throws SextantError as `heldOut` and `labelledTasks` */
  async evaluate(sae: TrainedSae, hook: string) {
    const { encoder, axes, labelled, spelling, seed } = this.#options;
    const held = await this.heldOut(hook);
    const { inputs, width } = sae.parameters;
    const { measures, codes, metrics } = await measure(sae, held.x, encoder);
    const scores = axes ? axisScores(axes, held, codes, width) : [];
    const loss = (await this.#siteAt(hook, held, inputs)?.lossRecovered(sae)) ?? null;
    const tasks = [];
    for (const texts of labelled) {
      tasks.push(await labelledTasks(this.#model, hook, sae, texts, { encoder, seed }));
    }
    const absorption = spelling
      ? await spellingAbsorption(this.#model, hook, sae, spelling.tokenizer, spelling.vocabulary, {
          encoder,
          seed,
          examples: spelling.examples,
        })
      : null;
    const intervals = metricIntervals(held, reconstruct(sae, codes), codes, inputs, seed);
    const densities = metrics.densityHistogram();
    return { measures, scores, loss, tasks, absorption, intervals, densities };
  }

  #siteAt(hook: string, held: HeldOut, inputs: number): Site | null {
    const { lossSequences, encoder } = this.#options;
    // A single token is no prediction.
    const predicted = held.ids.filter(({ length }) => length > 1).slice(0, lossSequences);
    if (predicted.length === 0) {
      return null;
    }
    let site = this.#sites.get(hook);
    if (!site) {
      const { mean } = activationStatistics(held.x, inputs);
      site = new Site(this.#model, hook, predicted, { mean, encoder });
      this.#sites.set(hook, site);
    }
    return site;
  }
}
/** What `HeldOutEvaluation` says of one autoencoder. */
export type SaeEvaluation = Awaited<ReturnType<HeldOutEvaluation['evaluate']>>;
