/** Handler of `sae.evaluate`: sign-safe measures, scores against known axes, and the model's loss with the SAE spliced in. */
import { paramError } from '../../shared/contracts/problem.ts';
import contract from '../../shared/jobs/sae.evaluate.ts';
import { manifestId } from '../../shared/signing/digest.ts';
import type { Tokenizer } from '../lm/index.ts';
import {
  AxisCorrelations,
  type AxisScore,
  activationStatistics,
  densitySvg,
  Encoder,
  type HeldOut,
  heldOutActivations,
  labelledTasks,
  measure,
  metricIntervals,
  reconstruct,
  Site,
  type SparseCodes,
  spellingAbsorption,
  spellingWords,
  type Vocabulary,
} from '../sae/index.ts';
import { handle } from './handler.ts';
import { type KnownAxes, openCorpus } from './inputs/corpus-input.ts';
import { openModel } from './inputs/model-input.ts';
import { encodeTexts, requireTokenizer } from './inputs/tokens.ts';
import { publishReport } from './outputs/report.ts';
import { openSae } from './outputs/sae-artefact.ts';
import { steerByLatent } from './sae-steering.ts';

/** Tokens of one forward pass. */
const PASS_TOKENS = 4096;
/** Held-out sequences on which steering should change little. */
const STEERED_SEQUENCES = 32;

export default handle(contract, async (context) => {
  const { params, configuration } = context;
  context.progress({ fraction: 0, stage: 'loading the model', metrics: { tokens: 0 } });
  const opened = await openModel(context, params.model);
  const { model } = opened;
  const encoder = new Encoder({ threads: configuration.threads, spinning: false });
  try {
    const corpus = await openCorpus(context, params.corpus, model, opened.digest);
    const length = Math.min(params.context, model.architecture.context);
    const pass = Math.max(1, Math.floor(PASS_TOKENS / length));
    const byHook = new Map<string, HeldOut>();
    const sites = new Map<string, Site>();
    const saes = [];
    const documents = [];
    const plots: { name: string; svg: string }[] = [];
    let mismatched = false;
    const tokenizer = params.spelling && requireTokenizer(model);
    const vocabulary = tokenizer && wordsToSpell(tokenizer, params.spelling!);
    for (const [i, id] of params.saes.entries()) {
      const use = await openSae(context, id, opened, { allowMismatch: params.allow_mismatch });
      mismatched ||= use.mismatch.length > 0;
      const hook = use.manifest.hook!;
      let held = byHook.get(hook);
      if (!held) {
        held = await heldOutActivations(model, hook, corpus.sequences('held-out', length), {
          tokens: params.tokens,
          pass,
          progress: (tokens) => context.progress({ fraction: 0.3, stage: 'reading activations', metrics: { tokens } }),
        });
        byHook.set(hook, held);
      }
      const { measures, codes, metrics } = await measure(use.sae, held.x, encoder);
      const axes = corpus.axes ? axisScores(corpus.axes, held, codes, use.sae.parameters.width) : [];
      let site = sites.get(hook);
      if (!site && params.loss_sequences > 0) {
        const { mean } = activationStatistics(held.x, use.sae.parameters.inputs);
        site = new Site(model, hook, held.ids.slice(0, params.loss_sequences), { mean, encoder });
        sites.set(hook, site);
      }
      const loss = site ? await site.lossRecovered(use.sae) : null;
      const labelled = [];
      for (const { name, texts } of params.labelled) {
        const ids = encodeTexts(
          model,
          texts.map(({ text }) => text),
          `/labelled/${name}`,
        );
        const rows = texts.map(({ label, spurious }, j) => ({ ids: ids[j]!, label, spurious }));
        labelled.push(await labelledTasks(model, hook, use.sae, { name, texts: rows }, { encoder, seed: params.seed }));
      }
      const absorption = vocabulary
        ? await spellingAbsorption(model, hook, use.sae, tokenizer!, vocabulary, {
            encoder,
            seed: params.seed,
            examples: params.spelling!.examples,
          })
        : null;
      const steering = params.steering
        ? await steerByLatent(model, hook, use.sae, params.steering, {
            encoder,
            seed: params.seed,
            offTarget: held.ids.slice(0, STEERED_SEQUENCES),
          })
        : null;
      const { inputs } = use.sae.parameters;
      const intervals = metricIntervals(held, reconstruct(use.sae, codes), codes, inputs, params.seed);
      const histogram = metrics.densityHistogram();
      const svg = densitySvg(`${use.sae.variant}, ${use.sae.parameters.width} latents, ${hook}`, histogram);
      plots.push({ name: `density-${i}`, svg });
      const { decoder, ...numbers } = measures;
      const entry = {
        id,
        variant: use.sae.variant,
        width: use.sae.parameters.width,
        k: use.sae.k,
        hook,
        mismatch: use.mismatch,
        ...numbers,
        antipodal_share: decoder.antipodal,
        decoder_cosines: decoder,
        loss,
        intervals,
        labelled,
        absorption: absorption && {
          words: vocabulary!.words.length,
          dropped: vocabulary!.dropped,
          ...absorption,
        },
        steering,
        axes,
      };
      saes.push(entry);
      documents.push({ ...entry, density_histogram: histogram });
      context.progress({
        fraction: 0.3 + (0.7 * (i + 1)) / params.saes.length,
        stage: 'measuring',
        metrics: { tokens: held.tokens.length },
      });
    }
    const tokens = Math.max(...[...byHook.values()].map((held) => held.tokens.length));
    const body = { tokens, data_digest: corpus.digest, saes: documents };
    const manifest = await publishReport(
      context,
      { kind: 'sae_evaluation', body, plots },
      {
        method: contract.type,
        params,
        model: opened,
        seed: params.seed,
        hook: byHook.size === 1 ? [...byHook.keys()][0]! : null,
        dataDigest: corpus.digest,
        body: { saes: saes.map(({ id, fvu, l0 }) => ({ id, fvu, l0 })), mismatch: mismatched },
      },
    );
    return {
      result: { saes, tokens, data_digest: corpus.digest, report: await manifestId(manifest) },
      published: [manifest],
      metrics: {},
      run: { device: opened.provider, dtype: 'float32', seed: params.seed, tolerance: null },
    };
  } finally {
    await encoder.release();
    await model.release();
  }
});

/** @throws SextantError `data_invalid` where no word is short enough */
function wordsToSpell(
  tokenizer: Tokenizer,
  { words, longest }: { words: readonly string[] | null; longest: number },
): Vocabulary {
  const found = spellingWords(tokenizer, words, longest);
  if (found.words.length > 0) return found;
  throw paramError('data_invalid', '/spelling', `no word has at most ${longest} tokens of the model`);
}

/** Scores over the tokens from which the text depends on the states. */
function axisScores(known: KnownAxes, held: HeldOut, codes: SparseCodes, width: number): AxisScore[] {
  const rows = [...held.positions.keys()].filter((row) => held.positions[row]! >= known.from);
  const states = new Map<number, ArrayLike<number>>();
  for (const row of rows) {
    const sequence = held.sequences[row]!;
    if (!states.has(sequence)) states.set(sequence, known.states('held-out', sequence));
  }
  const correlations = new AxisCorrelations(known.axes, width);
  correlations.add(rowsOf(codes, rows), (i) => states.get(held.sequences[rows[i]!]!)!);
  return correlations.scores();
}

/** The codes of some rows. */
function rowsOf(codes: SparseCodes, rows: readonly number[]): SparseCodes {
  const starts = new Int32Array(rows.length + 1);
  rows.forEach((row, i) => {
    starts[i + 1] = starts[i]! + codes.starts[row + 1]! - codes.starts[row]!;
  });
  const latents = new Int32Array(starts[rows.length]!);
  const values = new Float32Array(latents.length);
  rows.forEach((row, i) => {
    latents.set(codes.latents.subarray(codes.starts[row]!, codes.starts[row + 1]!), starts[i]!);
    values.set(codes.values.subarray(codes.starts[row]!, codes.starts[row + 1]!), starts[i]!);
  });
  return { rows: rows.length, starts, latents, values };
}
