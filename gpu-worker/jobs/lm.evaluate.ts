/** Handler of `lm.evaluate`: the same text and prompts through the model, plain and steered. */
import contract from '../../shared/jobs/lm.evaluate.ts';
import { statedRun } from '../directions/contract-names.ts';
import { steeredEvaluation } from '../directions/steered-evaluation.ts';
import { sweepPoints } from '../study/index.ts';
import { handle } from './handler.ts';
import { openEvaluation } from './inputs/evaluation-input.ts';
import { openModel } from './inputs/model-input.ts';
import { openSteering } from './inputs/steering-input.ts';
import { reportManifest } from './outputs/report.ts';

export default handle(contract, async (context) => {
  const { params } = context;
  const opened = await openModel(context, params.model);
  const { model } = opened;
  const reference = params.reference ? await openModel(context, params.reference) : null;
  try {
    const { digest, text, ...measured } = await openEvaluation(context, opened);
    const measure = await steeredEvaluation(model, { ...measured, reference: reference?.model ?? null });
    const { results: runs } = await sweepPoints({
      points: params.runs,
      of: { model: opened.digest, corpus: digest, reference: reference?.digest ?? null },
      result: contract.result.shape.runs.element,
      checkpoints: context.checkpoint,
      progress: (done) =>
        context.progress({ fraction: done / params.runs.length, stage: 'evaluating', metrics: { runs: done } }),
      measure: async (run) => {
        const steering = await openSteering(context, run, opened, params.allow_mismatch);
        return statedRun(run.label, params.targets, await measure(steering));
      },
    });
    const result = {
      runs,
      prompts: measured.prompts.length,
      tokens: text?.tokens.used ?? 0,
      text,
      data_digest: digest,
    };
    const report = reportManifest({
      method: contract.type,
      params,
      model: opened,
      seed: params.seed,
      dataDigest: digest,
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
