/** Handler of `reflection.study`: directions from the model's answers, a sweep of steered points, and the chosen one. */
import contract from '../../shared/jobs/reflection.study.ts';
import { manifestId } from '../../shared/signing/digest.ts';
import { steeredStudy } from '../directions/reflection/steered-study.ts';
import { handle } from './handler.ts';
import { judged } from './inputs/judge-input.ts';
import { openModel } from './inputs/model-input.ts';
import { openReflectionInput } from './inputs/reflection-input.ts';
import { singleToken } from './inputs/tokens.ts';
import { Pace } from './outputs/pace.ts';
import { reflectionVector } from './outputs/reflection-vector.ts';
import { publishReport } from './outputs/report.ts';

export default handle(contract, async (context) => {
  const { params } = context;
  const { seed, forcing } = params;
  const opened = await openModel(context, params.model);
  const base = params.base && (await openModel(context, params.base));
  try {
    const { model } = opened;
    const input = await openReflectionInput(context, model);
    const study = {
      model,
      base: base?.model ?? null,
      problems: input.problems,
      transfer: input.transfer,
      triggers: new Set(input.triggers.keys()),
      decoding: { maxTokens: params.max_tokens, temperature: params.temperature, topP: params.top_p, seed },
      measuring: { keywords: params.keywords, marker: params.answer_marker },
      lookAhead: params.look_ahead,
      estimator: params.estimator,
      shuffles: params.shuffles,
      centred: params.centred,
      during: params.steer,
      samples: params.samples,
      seed,
    };
    const pace = new Pace(context, 3);
    const asked = {
      layers: params.layers,
      modes: params.modes,
      alphas: params.alphas,
      window: params.window,
      random_directions: params.random_directions,
      forcing: forcing && { end: singleToken(model, forcing.end, '/forcing/end'), rounds: forcing.rounds },
    };
    const found = await steeredStudy(study, asked, {
      of: { model: opened.digest, data: input.digest, params: JSON.stringify(params) },
      checkpoints: context.checkpoint,
      stage: (name) => pace.next(name),
      swept: (done, of) => pace.at(done / of, 'steering', { points: done, of }),
    });
    const body = {
      ...found.body,
      triggers: [...input.triggers.values()],
      judge: params.judge && (await judged(context, params.judge, found.plain)),
      data_digest: input.digest,
    };
    const { problems: _problems, transfer: _transfer, base: _base, judge: _judge, ...stated } = params;
    const of = { method: contract.type, params: stated, model: opened, seed, dataDigest: input.digest };
    const { vector, residualNorm, plots } = found;
    const named = await reflectionVector(context, of, { ...body, vector, residualNorm });
    const report = await publishReport(
      context,
      { kind: 'reflection_study', body, plots },
      { ...of, hook: body.chosen.hook, body },
    );
    return {
      result: {
        report: await manifestId(report),
        vector: await manifestId(named),
        name: params.name ?? null,
        ...body,
      },
      published: [named, report],
      metrics: {},
      run: { device: opened.provider, dtype: 'float32', seed, tolerance: null },
    };
  } finally {
    await base?.model.release();
    await opened.model.release();
  }
});
