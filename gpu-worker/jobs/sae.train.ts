/**
 * Handler of `sae.train`: a sweep of autoencoders over one stream of activations. Its state is saved in the worker's cache
 * every minute, and published for other workers now and then, so that the next attempt goes on from there with the same
 * batches and gives the same weights. States above `PUBLISHED_LIMIT` (12 bytes per parameter over all autoencoders) stay in
 * the cache: there only the worker itself goes on, and any other starts from the beginning.
 */
import { join } from 'node:path';
import type { Manifest } from '../../shared/contracts/manifest.ts';
import type { ParamsOf } from '../../shared/jobs/contract.ts';
import contract, { BLOCK_TOKENS, type SaeSpec } from '../../shared/jobs/sae.train.ts';
import { canonicalJson, manifestId, sha256Hex } from '../../shared/signing/digest.ts';
import type { LanguageModel } from '../lm/index.ts';
import {
  ActivationSource,
  defaultRate,
  describeLatents,
  Encoder,
  foldScale,
  heldOutActivations,
  measure,
  type SaeConfiguration,
  type SaeMeasures,
  SweepFiles,
  type SweepMember,
  type SweepResult,
  saeConfiguration,
  type TrainedSae,
  tokenEffects,
  trainSweep,
  VARIANTS,
} from '../sae/index.ts';
import { PublishedSweep } from './checkpoints/published-sweep.ts';
import { PUBLISHED_FILE } from './checkpoints/training-checkpoints.ts';
import { handle } from './handler.ts';
import { openCorpus } from './inputs/corpus-input.ts';
import { openModel } from './inputs/model-input.ts';
import { publishSae } from './outputs/sae-artefact.ts';

type Params = ParamsOf<typeof contract>;

/** Tokens of one forward pass. */
const PASS_TOKENS = 4096;

export default handle(contract, async (context) => {
  const { params, configuration } = context;
  context.progress({ fraction: 0, stage: 'loading the model', metrics: {} });
  const opened = await openModel(context, params.model);
  const { model } = opened;
  try {
    const corpus = await openCorpus(context, params.corpus, model, opened.digest);
    const length = Math.min(params.context, model.architecture.context);
    const source = new ActivationSource({
      model,
      hook: params.hook,
      sequences: () => corpus.sequences('train', length),
      block: Math.max(Math.ceil(BLOCK_TOKENS / length), Math.ceil((2 * params.batch) / length)),
      pass: Math.max(1, Math.floor(PASS_TOKENS / length)),
      rows: params.batch,
      seed: params.seed,
      normCap: params.norm_cap,
    });
    const members = params.saes.map((spec) => memberOf(spec, source.width, params));
    const key = await sha256Hex(canonicalJson({ params, model: opened.digest, corpus: corpus.digest }));
    const files = new SweepFiles(join(configuration.cache, 'checkpoints', `sae.train-${key.slice(0, 32)}`), {
      fileBytes: PUBLISHED_FILE,
    });
    const of = { model: opened.digest, corpus: corpus.digest, device: opened.provider };
    const store = new PublishedSweep(context, files, of);
    const swept = await trainSweep({
      source,
      members,
      steps: params.steps,
      batch: params.batch,
      threads: configuration.threads,
      provider: opened.provider,
      scaling: params.input_scaling,
      centre: params.decoder_bias,
      files: store,
      progress: ({ step, loss, fvu, l0, deadShare, tokensPerSecond, secondsLeft }) =>
        context.progress({
          fraction: (0.95 * step) / params.steps,
          stage: 'training',
          metrics: { loss, fvu, l0, dead_share: deadShare, tokens_per_s: tokensPerSecond, seconds_left: secondsLeft },
        }),
    });

    context.progress({ fraction: 0.96, stage: 'evaluating', metrics: {} });
    const held = await heldOutActivations(model, params.hook, corpus.sequences('held-out', length), {
      tokens: params.evaluation_tokens,
      pass: Math.max(1, Math.floor(PASS_TOKENS / length)),
    });
    const encoder = new Encoder({ threads: configuration.threads, spinning: false });
    const published: Manifest[] = [];
    const saes = [];
    for (const [i, member] of members.entries()) {
      const sae = trained(member.configuration, swept, i);
      const { measures, codes, metrics } = await measure(sae, held.x, encoder);
      const dashboards = params.feature_dashboards
        ? await describeLatents(
            sae.parameters,
            codes,
            metrics,
            held,
            textOf(model),
            await tokenEffects(model, sae.parameters),
            encoder,
          )
        : null;
      const manifest = await publishSae(context, sae, {
        index: i,
        model: opened,
        hook: params.hook,
        scale: swept.scale,
        dataDigest: corpus.digest,
        seed: member.seed,
        params: manifestParams(member, params),
        measures: measuresOf(measures, swept.members[i]!.deadShare),
        dashboards,
      });
      published.push(manifest);
      saes.push(await summary(member, manifest, measures, swept, i));
    }
    await encoder.release();
    await files.remove();
    return {
      result: {
        saes,
        tokens: swept.tokens,
        tokens_per_s: swept.tokensPerSecond,
        data_digest: corpus.digest,
        input_scale: swept.scale,
        first_step: swept.firstStep,
        warnings: warnings(members, source.width, swept),
      },
      published,
      metrics: { tokens_per_s: swept.tokensPerSecond, steps_resumed: swept.firstStep },
      run: { device: store.devices.join(' + '), dtype: 'float32', seed: params.seed, tolerance: null },
    };
  } finally {
    await model.release();
  }
});

function memberOf(spec: SaeSpec, inputs: number, params: Params): SweepMember {
  const { variant, width, k, sparsity, seed, matryoshka_prefixes, iterations, threshold, bandwidth, log_threshold } =
    spec;
  const complete = saeConfiguration({
    variant,
    inputs,
    width,
    matryoshkaPrefixes: matryoshka_prefixes,
    iterations,
    auxiliaryWeight: params.auxiliary_weight,
    deadTokens: params.dead_tokens,
    clipNorm: params.clip_norm,
    ...(k !== null && { k }),
    ...(sparsity !== null && { sparsity }),
    ...(threshold !== null && { threshold }),
    ...(bandwidth !== null && { bandwidth }),
    ...(log_threshold !== null && { logThreshold: log_threshold }),
  });
  const schedule = {
    rate: params.learning_rate ?? defaultRate(width),
    steps: params.steps,
    warmupSteps: params.warmup_steps,
    decayFraction: params.decay_fraction,
  };
  return { configuration: complete, schedule, seed };
}

const textOf =
  ({ tokenizer }: LanguageModel) =>
  (token: number): string =>
    tokenizer?.decode([token], { special: true }) ?? String(token);

const trained = (r: SaeConfiguration, swept: SweepResult, i: number): TrainedSae => ({
  variant: r.variant,
  k: VARIANTS[r.variant].takes === 'k' ? r.k : null,
  subtractBias: r.subtractBias,
  iterations: r.iterations,
  iterationStep: r.iterationStep,
  parameters: foldScale(swept.members[i]!.parameters, swept.scale),
});

const manifestParams = ({ configuration: r, schedule }: SweepMember, params: Params): Record<string, unknown> => ({
  ...r,
  ...schedule,
  batch: params.batch,
  context: params.context,
  corpus: params.corpus,
  input_scaling: params.input_scaling,
  decoder_bias: params.decoder_bias,
  norm_cap: params.norm_cap,
  stream_seed: params.seed,
});

const measuresOf = (m: SaeMeasures, deadShare: number): Record<string, unknown> => ({
  fvu: m.fvu,
  nmse: m.nmse,
  mse: m.mse,
  cosine: m.cosine,
  l0: m.l0,
  dead_share: deadShare,
  minority_share_05: m.minority_share_05,
  tokens: m.tokens,
});

async function summary(
  { configuration: r, seed }: SweepMember,
  manifest: Manifest,
  measures: SaeMeasures,
  swept: SweepResult,
  i: number,
) {
  const { last, deadShare } = swept.members[i]!;
  return {
    id: await manifestId(manifest),
    variant: r.variant,
    width: r.width,
    k: VARIANTS[r.variant].takes === 'k' ? r.k : null,
    seed,
    loss: last?.loss ?? Number.NaN,
    fvu: measures.fvu,
    l0: measures.l0,
    dead_share: deadShare,
    minority_share: measures.minority_share_05,
  };
}

/** Share of dead latents above which a sweep says so. */
const MANY_DEAD = 0.2;

const warnings = (members: readonly SweepMember[], inputs: number, swept: SweepResult): string[] =>
  members.flatMap(({ configuration: r }, i) => {
    const { deadShare } = swept.members[i]!;
    return [
      ...(r.width < inputs
        ? [`${r.variant}: ${r.width} latents are fewer than the ${inputs} dimensions of the activations`]
        : []),
      ...(deadShare > MANY_DEAD
        ? [`${r.variant}: ${Math.round(100 * deadShare)} % of ${r.width} latents are dead; train longer, or with fewer`]
        : []),
    ];
  });
