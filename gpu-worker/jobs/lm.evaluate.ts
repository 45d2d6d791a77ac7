/** Handler of `lm.evaluate`: the same text and prompts through the model, plain and steered. */
import { paramError } from '../../shared/contracts/problem.ts';
import contract from '../../shared/jobs/lm.evaluate.ts';
import { steeredEvaluation } from '../directions/steered-evaluation.ts';
import { sweepPoints } from '../study/index.ts';
import { handle } from './handler.ts';
import { openCorpus } from './inputs/corpus-input.ts';
import { openModel } from './inputs/model-input.ts';
import { takeTokens } from './inputs/token-budget.ts';
import { encodeTexts, singleToken, tokenSet } from './inputs/tokens.ts';
import { openSteering } from './inputs/vector-input.ts';
import { reportManifest } from './outputs/report.ts';

export default handle(contract, async (context) => {
  const { params } = context;
  const opened = await openModel(context, params.model);
  const { model } = opened;
  const reference = params.reference ? await openModel(context, params.reference) : null;
  try {
    const corpus = params.corpus ? await openCorpus(context, params.corpus, model, opened.digest) : null;
    const length = Math.min(params.context, model.architecture.context);
    const sequences: ArrayLike<number>[] = [];
    if (corpus) {
      for await (const ids of takeTokens(corpus.sequences('held-out', length), params.tokens)) {
        sequences.push(ids);
      }
    }
    const prompts = encodeTexts(model, params.prompts, '/prompts');
    if (params.targets.length > 0 && prompts.length === 0) {
      throw paramError('data_invalid', '/prompts', 'targets are measured after prompts, and there is none');
    }
    if (params.answers.length > 0 && params.answers.length !== prompts.length) {
      throw paramError(
        'data_invalid',
        '/answers',
        `${params.answers.length} answers to ${prompts.length} prompts; each has one`,
      );
    }
    if (reference && sequences.length === 0) {
      throw paramError('data_invalid', '/reference', 'the divergence is taken on a corpus, and there is none');
    }
    const sets = params.targets.map(({ tokens }, i) => tokenSet(model, tokens, `/targets/${i}/tokens`));
    const answers = params.answers.map(({ token, other }, i) => ({
      token: singleToken(model, token, `/answers/${i}/token`),
      other: other === null ? null : singleToken(model, other, `/answers/${i}/other`),
    }));
    const measure = await steeredEvaluation(model, {
      sequences,
      prompts,
      sets,
      answers,
      reference: reference?.model ?? null,
    });
    const { results: runs } = await sweepPoints({
      points: params.runs,
      of: { model: opened.digest, corpus: corpus?.digest ?? null, reference: reference?.digest ?? null },
      result: contract.result.shape.runs.element,
      checkpoints: context.checkpoint,
      progress: (done) =>
        context.progress({ fraction: done / params.runs.length, stage: 'evaluating', metrics: { runs: done } }),
      measure: async ({ label, vectors }) => {
        const measured = await measure(await openSteering(context, vectors, opened, params.allow_mismatch));
        const { probabilities, logitDifference, referenceKl, ...same } = measured;
        return {
          label,
          ...same,
          targets: Object.fromEntries(params.targets.map((target, t) => [target.label, probabilities?.[t] ?? 0])),
          logit_difference: logitDifference,
          reference_kl: referenceKl,
        };
      },
    });
    const result = {
      runs,
      prompts: prompts.length,
      tokens: sequences.reduce((sum, ids) => sum + ids.length, 0),
      data_digest: corpus?.digest ?? null,
    };
    const report = reportManifest({
      method: contract.type,
      params,
      model: opened,
      seed: params.seed,
      dataDigest: result.data_digest,
      body: result,
    });
    return {
      result,
      published: [report],
      metrics: {},
      run: { device: opened.provider, dtype: 'float32', seed: params.seed, tolerance: null },
    };
  } finally {
    await reference?.model.release();
    await model.release();
  }
});
