/** Handler of `compression.study`: one autoencoder on the dense model and, in its variants, on every compressed copy. */
import { SextantError } from '../../shared/contracts/problem.ts';
import contract from '../../shared/jobs/compression.study.ts';
import type { ResultOf } from '../../shared/jobs/contract.ts';
import { manifestId } from '../../shared/signing/digest.ts';
import {
  driftPlot,
  errorBound,
  latentDrift,
  Products,
  prunedSae,
  recoveredPlot,
  requireMatchedL0,
  requireOneShape,
  SaeNormSums,
  scoreVariants,
  survivalPlot,
  type VariantOf,
  type VariantScores,
} from '../compression/index.ts';
import { tokenText } from '../lm/index.ts';
import {
  activationStatistics,
  Encoder,
  encodeActivations,
  foldScale,
  type HeldOut,
  heldOutActivations,
  labelledTasks,
  reconstruct,
  type TrainedSae,
  trainingSource,
  trainSweep,
} from '../sae/index.ts';
import { handle } from './handler.ts';
import { openCorpus, sequencesPerPass } from './inputs/corpus-input.ts';
import { type OpenedModel, openModel } from './inputs/model-input.ts';
import { openStudySae, retraining, type StudySae } from './inputs/study-sae.ts';
import { encodeTexts } from './inputs/tokens.ts';
import { publishReport } from './outputs/report.ts';

export default handle(contract, async (context) => {
  const { params, configuration } = context;
  const { seed } = params;
  const dense = await openModel(context, params.model);
  const encoder = new Encoder({ threads: configuration.threads, spinning: false });
  const products = new Products({ threads: configuration.threads });
  try {
    const study = await openStudySae(context, dense);
    const { sae, hook } = study;
    const corpus = await openCorpus(context, params.corpus, dense.model, dense.digest);
    const length = Math.min(params.context, dense.model.architecture.context);
    const pass = sequencesPerPass(length);
    const read = (opened: OpenedModel): Promise<HeldOut> =>
      heldOutActivations(opened.model, hook, corpus.sequences('held-out', length), { tokens: params.tokens, pass });
    const before = await read(dense);
    const codes = await encodeActivations(sae, before.x, encoder);
    const text = tokenText(dense.model);
    const textOf = (row: number) => text(before.tokens[row]!);
    const score = async (opened: OpenedModel, held: HeldOut, variants: readonly VariantOf[]) => {
      const scores = await scoreVariants(variants, {
        model: opened.model,
        dense: opened === dense ? null : dense.model,
        hook,
        held,
        sequences: params.loss_sequences,
        mean: activationStatistics(held.x, sae.parameters.inputs).mean,
        encoder,
        seed,
      });
      const labelled = await Promise.all(variants.map(({ sae: variant }) => tasksOf(opened, variant)));
      return scores.map((own, i) => ({ ...own, labelled: labelled[i]! }));
    };
    const tasksOf = async (opened: OpenedModel, variant: TrainedSae) => {
      const found = [];
      for (const { name, texts } of params.labelled) {
        const ids = encodeTexts(
          opened.model,
          texts.map(({ text }) => text),
          `/labelled/${name}`,
        );
        const rows = texts.map(({ label, spurious }, j) => ({ ids: ids[j]!, label, spurious }));
        found.push(await labelledTasks(opened.model, hook, variant, { name, texts: rows }, { encoder, seed }));
      }
      return found;
    };
    const [reference] = await score(dense, before, [{ variant: 'dense', share: null, sae }]);
    const copies: ResultOf<typeof contract>['copies'] = [];
    const drifts = [];
    for (const [i, { label, model: copy }] of params.copies.entries()) {
      const opened = await openModel(context, copy);
      try {
        requireOneShape(dense.model, opened.model, `/copies/${i}/model`);
        const held = await read(opened);
        if (held.x.length !== before.x.length) {
          throw new SextantError('data_invalid', `/copies/${i}/model: its tokenizer cuts the corpus in another way`);
        }
        const after = await encodeActivations(sae, held.x, encoder);
        const drift = latentDrift(codes, after, sae.parameters.width, textOf);
        const again = await retrainedOn(opened, study, i);
        const sums = new SaeNormSums(sae);
        await sums.add(held.x, encoder, products);
        const variants: VariantOf[] = [
          { variant: 'transferred', share: null, sae },
          ...(again ? [{ variant: 'retrained', share: null, sae: again.sae, retrained: true }] : []),
          ...params.shares.map((share) => ({
            variant: 'pruned',
            share,
            sae: prunedSae(sae, share, params.rule, sums.norms()),
          })),
        ];
        const scores = await score(opened, held, variants);
        if (again && !params.allow_unmatched) {
          requireMatchedL0(scores[0]!.l0, scores[1]!.l0, `/copies/${i}`);
        }
        const { correlations: _curve, alive: _alive, alive_after: _after, overlap, ...summary } = drift;
        copies.push({
          label,
          variants: scores,
          ...summary,
          support_overlap: overlap,
          retraining: again?.kind ?? null,
          bound:
            sae.variant === 'relu'
              ? errorBound(sae, before.x, reconstruct(sae, codes), held.x, reconstruct(sae, after))
              : null,
        });
        drifts.push({ label, drift });
      } finally {
        await opened.model.release();
      }
      const fraction = (0.95 * (i + 1)) / params.copies.length;
      context.progress({ fraction, stage: 'studying', metrics: { copies: i + 1, of: params.copies.length } });
    }
    const tokens = before.tokens.length;
    const measured = { hook, dense: reference!, copies, tokens, data_digest: corpus.digest };
    const { copies: _copies, sae: _sae, ...rest } = params;
    const report = await publishReport(
      context,
      {
        kind: 'compression_study',
        body: { ...measured, survival_curves: drifts.map(({ label, drift }) => ({ label, r: drift.correlations })) },
        plots: [
          recoveredPlot(copies.map(({ label, variants }) => ({ label, points: sharesOf(variants) }))),
          survivalPlot(drifts),
          ...drifts.map(({ label, drift }, i) => driftPlot(label, drift, i)),
        ],
      },
      {
        method: contract.type,
        params: rest,
        model: dense,
        seed,
        hook,
        dataDigest: corpus.digest,
        body: { sae: study.digest, copies: copies.map(({ label, survival }) => ({ label, survival })) },
      },
    );
    return {
      result: { report: await manifestId(report), ...measured },
      published: [report],
      metrics: {},
      run: { device: dense.provider, dtype: 'float32', seed, tolerance: null },
    };

    /** The autoencoder trained on a copy's activations; null where that was not asked for. */
    async function retrainedOn(opened: OpenedModel, of: StudySae, index: number) {
      if (params.retrain === null) {
        return null;
      }
      const { member, batch, scaling, kind } = retraining(of, params.retrain);
      const sequences = () => corpus.sequences('train', length);
      const source = trainingSource({ model: opened.model, hook, sequences, length, pass, batch, seed, normCap: 10 });
      const swept = await trainSweep({
        source,
        members: [member],
        steps: member.schedule.steps,
        batch,
        threads: configuration.threads,
        provider: opened.provider,
        scaling,
        centre: 'geometric_median',
        progress: ({ step }) =>
          context.progress({
            fraction: (0.95 * (index + (0.8 * step) / member.schedule.steps)) / params.copies.length,
            stage: 'retraining',
            metrics: { copies: index, of: params.copies.length },
          }),
      });
      return { sae: { ...of.sae, parameters: foldScale(swept.members[0]!.parameters, swept.scale) }, kind };
    }
  } finally {
    await products.release();
    await encoder.release();
    await dense.model.release();
  }
});

/** The transferred autoencoder as share 0, and the pruned ones. */
const sharesOf = (variants: readonly VariantScores[]) =>
  variants
    .filter(({ variant }) => variant === 'transferred' || variant === 'pruned')
    .map(({ share, loss_recovered, low, high }) => ({ share: share ?? 0, recovered: loss_recovered, low, high }));
