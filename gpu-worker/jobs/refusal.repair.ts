/** Handler of `refusal.repair`: a sweep over blocks and alphas, random directions at the best of it, and the chosen model. */
import { join } from 'node:path';
import contract, { repairPointSchema } from '../../shared/jobs/refusal.repair.ts';
import { manifestId } from '../../shared/signing/digest.ts';
import { behaviourOf } from '../directions/refusal/behaviour.ts';
import { findDirection, scoredDirections } from '../directions/refusal/find.ts';
import { repairPlots } from '../directions/refusal/plots.ts';
import { chosenPoint, Repairs } from '../directions/refusal/repair.ts';
import { repairBlocks, requireSameShape } from '../directions/refusal/repair-blocks.ts';
import { storedGap, weightAccount, writeRepaired } from '../directions/refusal/repaired-weights.ts';
import { sweepPoints } from '../study/index.ts';
import { handle } from './handler.ts';
import { densely, openModel } from './inputs/model-input.ts';
import { openRefusalInput } from './inputs/refusal-input.ts';
import { publishFolder } from './outputs/model-artefact.ts';
import { Pace } from './outputs/pace.ts';
import { publishReport } from './outputs/report.ts';

export default handle(contract, async (context) => {
  const { params } = context;
  const { variant, halves, seed, store } = params;
  const base = await openModel(context, densely(params.model));
  const opened = await openModel(context, densely(params.copy));
  const copy = opened.model;
  try {
    requireSameShape(base.model, copy, '/copy');
    const { find, behaviour, digest, encode: _encode } = await openRefusalInput(context, base);
    const pace = new Pace(context, 3);
    const found = await findDirection(base.model, find);
    const { selection } = await scoredDirections(copy, find);
    const own = params.rule === 'lowest_bypass' ? selection.lowestBypass : selection.selected;
    const { vector } = found.chosen;
    const subject = { base: base.model, copy, vector, sets: find.sets, behaviour, limits: params.limits };
    const repairs = await Repairs.of(subject);
    const blocks = params.blocks ?? repairBlocks(found.chosen, own, copy.architecture.layers);
    const points = (variant === 'D' ? [0] : blocks).flatMap((block) =>
      params.alphas.map((alpha) => ({ block, alpha })),
    );
    pace.next('sweeping');
    const { results } = await sweepPoints({
      points,
      of: { base: base.digest, copy: opened.digest, data: digest },
      result: repairPointSchema.extend({ variant: contract.params.shape.variant.unwrap() }),
      checkpoints: context.checkpoint,
      progress: (done) => pace.at(done / points.length, 'sweeping', { points: done, of: points.length }),
      measure: ({ block, alpha }) => repairs.point({ variant, halves, vector, block, alpha }),
    });
    pace.next('comparing with random directions');
    const chosen = chosenPoint(results);
    const best = chosen ?? chosenPoint(results, true) ?? results[0]!;
    const edit = { variant, halves, vector, block: best.block, alpha: best.alpha };
    const random = await repairs.random(edit, params.random_directions, seed);
    const test = { harmful: find.sets.harmful.test, harmless: find.sets.harmless.test };
    const folder = join(context.scratch, 'repaired');
    const paths = repairs.paths(edit);
    if (chosen) {
      writeRepaired(copy, paths, store, { source: opened.path, to: folder });
    }
    const repaired = copy.withSidePaths(paths);
    const measured = {
      source: { position: found.chosen.position, layer: found.chosen.layer },
      copy_source: own && { position: own.position, layer: own.layer },
      chosen,
      points: results,
      random,
      claim: best.refusal > random.same_alpha.high && best.refusal > random.same_norm.high,
      base: await behaviourOf(base.model, test, behaviour),
      copy: await behaviourOf(copy, test, behaviour),
      repaired: chosen && (await behaviourOf(repaired, test, behaviour)),
      path_gap: chosen && (await storedGap(copy, paths, folder, test.harmless, context.scratch)),
      weights: chosen && weightAccount(copy, paths, store),
      data_digest: digest,
    };
    await repaired.programs.release();
    const { harmful: _harmful, harmless: _harmless, copy: _copy, model: _model, ...asked } = params;
    const origin = { method: contract.type, params: asked, seed };
    const body = {
      parent: { digest: opened.digest, revision: opened.revision },
      base_digest: base.digest,
      ...measured,
    };
    const model = chosen
      ? await publishFolder(context, folder, {
          ...origin,
          model: opened.id,
          data_digest: digest,
          body: { ...body, points: [] },
        })
      : null;
    const report = await publishReport(
      context,
      { kind: 'refusal_repair', body, plots: repairPlots(results, chosen, random.same_alpha) },
      { ...origin, params: { ...asked, model: null }, model: opened, dataDigest: digest, body },
    );
    return {
      result: { report: await manifestId(report), model: model && (await manifestId(model)), ...measured },
      published: [report, ...(model ? [model] : [])],
      metrics: {},
      run: { device: base.provider, dtype: 'float32', seed, tolerance: null },
    };
  } finally {
    await copy.release();
    await base.model.release();
  }
});
