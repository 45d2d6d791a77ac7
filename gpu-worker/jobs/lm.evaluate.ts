/** Handler of `lm.evaluate`: the same text and prompts through the model, plain and steered. */
import { paramError } from '../../shared/contracts/problem.ts';
import contract from '../../shared/jobs/lm.evaluate.ts';
import { outcomeOf } from '../directions/steering.ts';
import { crossEntropy, type Intervention, meanDivergence, nextTokenLogits, targetAccuracy } from '../lm/index.ts';
import { handle } from './handler.ts';
import { openCorpus } from './inputs/corpus-input.ts';
import { openModel } from './inputs/model-input.ts';
import { takeTokens } from './inputs/token-budget.ts';
import { encodeTexts, singleToken, tokenSet } from './inputs/tokens.ts';
import { openVector } from './inputs/vector-input.ts';
import { reportManifest } from './outputs/report.ts';

export default handle(contract, async (context) => {
  const { params } = context;
  const opened = await openModel(context, params.model);
  const { model } = opened;
  const reference = params.reference ? (await openModel(context, params.reference)).model : null;
  try {
    const corpus = params.corpus ? await openCorpus(context, params.corpus, model, opened.digest) : null;
    const length = Math.min(params.context, model.architecture.context);
    const sequences: ArrayLike<number>[] = [];
    if (corpus)
      for await (const ids of takeTokens(corpus.sequences('held-out', length), params.tokens)) sequences.push(ids);
    const prompts = encodeTexts(model, params.prompts, '/prompts');
    if (params.targets.length > 0 && prompts.length === 0) {
      throw paramError('data_invalid', '/prompts', 'targets are measured after prompts, and there is none');
    }
    if (params.answers.length > 0 && params.answers.length !== prompts.length)
      throw paramError(
        'data_invalid',
        '/answers',
        `${params.answers.length} answers to ${prompts.length} prompts; each has one`,
      );
    if (reference && sequences.length === 0)
      throw paramError('data_invalid', '/reference', 'the divergence is taken on a corpus, and there is none');
    const targets = params.answers.map(({ token }, i) => singleToken(model, token, `/answers/${i}/token`));
    const others = params.answers.map(({ other }, i) =>
      other === null ? null : singleToken(model, other, `/answers/${i}/other`),
    );
    const sets = params.targets.map(({ tokens }, i) => tokenSet(model, tokens, `/targets/${i}/tokens`));
    const plain = prompts.length > 0 ? await nextTokenLogits(model, prompts) : null;
    const runs = [];
    for (const [i, run] of params.runs.entries()) {
      const interventions: Intervention[] = [];
      for (const { vector, strength } of run.vectors) {
        const { hook, values, residualNorm } = await openVector(context, vector, opened, params.allow_mismatch);
        if (strength !== 0)
          interventions.push({ kind: 'add', hook, vector: values, strength: strength * residualNorm });
      }
      const measured = sequences.length > 0 ? await crossEntropy(model, sequences, { interventions }) : null;
      const steered =
        plain && interventions.length > 0 ? await nextTokenLogits(model, prompts, { interventions }) : plain;
      const outcome = plain && outcomeOf(steered!, plain, model.architecture.vocabulary, sets);
      const answered =
        targets.length > 0 ? targetAccuracy(steered!, model.architecture.vocabulary, targets, others) : null;
      const apart = reference && (await meanDivergence(model, reference, sequences, { interventions }));
      runs.push({
        label: run.label,
        loss: measured?.loss ?? null,
        perplexity: measured?.perplexity ?? null,
        targets: Object.fromEntries(params.targets.map(({ label }, t) => [label, outcome!.probabilities[t]!])),
        kl: outcome?.kl ?? null,
        accuracy: answered?.accuracy ?? null,
        logit_difference: answered?.logitDifference ?? null,
        reference_kl: apart?.kl ?? null,
      });
      context.progress({ fraction: (i + 1) / params.runs.length, stage: 'evaluating', metrics: { runs: i + 1 } });
    }
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
    await reference?.release();
    await model.release();
  }
});
