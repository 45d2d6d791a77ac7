/** Handler of `refusal.study`: the base model's direction, and one point of a sweep for every copy. */
import { join } from 'node:path';
import { paramError } from '../../shared/contracts/problem.ts';
import contract from '../../shared/jobs/refusal.study.ts';
import { manifestId } from '../../shared/signing/digest.ts';
import { removalOf, studyBase } from '../directions/refusal/base-study.ts';
import { findDirection, residualNorm } from '../directions/refusal/find.ts';
import { checkWeights } from '../directions/refusal/weight-check.ts';
import { handle } from './handler.ts';
import { densely, openModel } from './inputs/model-input.ts';
import { studiedCopies } from './inputs/refusal-copies.ts';
import { openRefusalInput } from './inputs/refusal-input.ts';
import { Pace } from './outputs/pace.ts';
import { publishAblated, refusalPlots, refusalSummary, refusalVector } from './outputs/refusal-report.ts';
import { publishReport } from './outputs/report.ts';

export default handle(contract, async (context) => {
  const { params } = context;
  if (params.publish_ablated && !context.configuration.allow_ablated_models) {
    throw paramError('data_invalid', '/publish_ablated', 'the operator of this worker does not allow ablated models');
  }
  const base = await openModel(context, densely(params.model));
  try {
    const input = await openRefusalInput(context, base);
    const pace = new Pace(context, 2 + params.copies.length);
    const find = {
      ...input.find,
      progress: (candidates: number, of: number) => pace.at(candidates / of, 'scoring', { candidates, of }),
    };
    const behaviour = { ...input.behaviour, generated: (tokens: number) => pace.count({ tokens }) };
    const found = await findDirection(base.model, find);
    pace.next('measuring the base model');
    const measured = await studyBase(base.model, found, find.sets, params.removal, behaviour);
    const folder = join(context.scratch, 'ablated');
    const removal = removalOf(found, params.removal);
    const weights =
      params.check_weights || params.publish_ablated
        ? await checkWeights(base.model, find.sets.harmless.test, removal, folder)
        : null;
    pace.next('studying copies');
    const results = await studiedCopies(context, base, { ...input, find, behaviour }, found, (copies) =>
      pace.to(2 + copies, 'studying copies', { copies }),
    );
    const { copies: _copies, harmful: _harmful, harmless: _harmless, ...asked } = params;
    const direction = {
      values: found.chosen.vector,
      residual_norm: await residualNorm(base.model, find, found.chosen),
    };
    const origin = { params: asked, seed: params.seed, dataDigest: input.digest };
    const vectors = [await refusalVector(context, base, 'base', found.chosen, direction, origin)];
    const copies = [];
    for (const { direction: own, model, ...copy } of results) {
      const quality = copy.own && copy.source && { ...copy.own, ...copy.source };
      const vector = own && quality && (await refusalVector(context, model, copy.label, quality, own, origin));
      vectors.push(...(vector ? [vector] : []));
      copies.push({ ...copy, vector: vector && (await manifestId(vector)) });
    }
    const of = { method: contract.type, params: asked, model: base, seed: params.seed, dataDigest: input.digest };
    const body = { ...refusalSummary(found, input), ...measured, weights, copies, data_digest: input.digest };
    const plots = await refusalPlots(base.model, find, found, copies);
    const report = await publishReport(context, { kind: 'refusal_study', body, plots }, { ...of, body });
    const along = await manifestId(vectors[0]!);
    const ablated = params.publish_ablated ? await publishAblated(context, folder, base, { along, ...origin }) : null;
    const { candidates: _all, ...result } = body;
    return {
      result: {
        report: await manifestId(report),
        vector: along,
        name: params.name ?? null,
        ablated_model: ablated && (await manifestId(ablated)),
        ...result,
      },
      published: [...vectors, report, ...(ablated ? [ablated] : [])],
      metrics: {},
      run: { device: base.provider, dtype: 'float32', seed: params.seed, tolerance: null },
    };
  } finally {
    await base.model.release();
  }
});
