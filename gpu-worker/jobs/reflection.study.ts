/** Handler of `reflection.study`: directions from the model's answers, a sweep of steered points, and the chosen one. */
import contract, { steeredPointSchema } from '../../shared/jobs/reflection.study.ts';
import { manifestId } from '../../shared/signing/digest.ts';
import { projectionPlot } from '../directions/plots.ts';
import { figuresOf, paretoSet } from '../directions/reflection/frontier.ts';
import { aucPlot, frequencyPlot, tradePlot } from '../directions/reflection/plots.ts';
import {
  chosenPoint,
  learnDirections,
  pointsOf,
  probeBase,
  reportPoint,
  requireParsed,
  steeredOn,
} from '../directions/reflection/study.ts';
import { sweepPoints } from '../study/index.ts';
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
      seed,
    };
    const pace = new Pace(context, 3);
    const { texts, found } = await learnDirections(study);
    const { surface } = found.places.train;
    const probing = await probeBase(study, texts, surface, params.window);
    const validation = await steeredOn(study, found, input.problems.validation);
    requireParsed(figuresOf(validation.plain.measured, 0), input.problems.validation.length);
    const points = pointsOf(found, { named: params.layers, modes: params.modes, alphas: params.alphas });
    pace.next('steering');
    const { results: frontier } = await sweepPoints({
      points,
      of: { model: opened.digest, data: input.digest, params: JSON.stringify(params) },
      result: steeredPointSchema,
      checkpoints: context.checkpoint,
      progress: (done) => pace.at(done / points.length, 'steering', { points: done, of: points.length }),
      measure: async (point) => ({ ...point, ...(await validation.point(point)) }),
    });
    pace.next('reporting the chosen point');
    const best = chosenPoint(frontier);
    const chosen = { hook: best.hook, mode: best.mode, alpha: best.alpha };
    const { vector, residualNorm } = found.vectors.get(chosen.hook)!;
    const random = await validation.random(chosen, params.random_directions, seed);
    const end = forcing && { end: singleToken(model, forcing.end, '/forcing/end'), rounds: forcing.rounds };
    const reported = await reportPoint(study, found, chosen, end);
    const text = (id: number) => model.tokenizer?.decode([id], { special: true }) ?? String(id);
    const counts = ({ reflecting, other }: typeof found.places.train) => ({
      reflecting: reflecting.length,
      other: other.length,
    });
    const layer = found.layers.find(({ hook }) => hook === chosen.hook)!;
    const basePlain = base && (await steeredOn({ ...study, model: base.model }, found, input.problems.test));
    const pareto = paretoSet(frontier);
    const outside = ({ low, high }: { low: number; high: number }, value: number) => value < low || value > high;
    const body = {
      chosen,
      sign: Math.sign(layer.projection.reflecting) || 1,
      surface: text(surface),
      triggers: [...input.triggers.values()],
      places: { train: counts(found.places.train), held_out: counts(found.places.held_out) },
      problems: Object.fromEntries(Object.entries(input.problems).map(([split, list]) => [split, list.length])),
      ...reported,
      base_plain: basePlain && figuresOf(basePlain.plain.measured, 0),
      frontier,
      pareto: pareto.map(({ hook, mode, alpha }) => ({ hook, mode, alpha })),
      random,
      claims: { frequency: outside(random.frequency, best.frequency), pass: outside(random.pass, best.pass) },
      layers: found.layers,
      probing,
      judge: params.judge && (await judged(context, params.judge, validation.plain)),
      data_digest: input.digest,
    };
    const { problems: _problems, transfer: _transfer, base: _base, judge: _judge, ...asked } = params;
    const of = { method: contract.type, params: asked, model: opened, seed, dataDigest: input.digest };
    const named = await reflectionVector(context, of, { ...body, vector, residualNorm });
    const histogram = found.histograms.get(chosen.hook)!;
    const plots = [
      tradePlot(frontier, pareto, best),
      frequencyPlot(frontier),
      aucPlot(found.layers),
      projectionPlot({ reflecting: histogram.reflecting, other: histogram.other }, chosen.hook),
    ];
    const report = await publishReport(
      context,
      { kind: 'reflection_study', body, plots },
      { ...of, hook: chosen.hook, body },
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
