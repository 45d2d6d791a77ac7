/** Handler of `refusal.repair`: a sweep over blocks and alphas, random directions at the best of it, and the chosen model. */
import { join } from 'node:path';
import contract from '../../shared/jobs/refusal.repair.ts';
import { manifestId } from '../../shared/signing/digest.ts';
import { requireSameShape } from '../directions/refusal/repair-blocks.ts';
import { repairStudy } from '../directions/refusal/repair-study.ts';
import { handle } from './handler.ts';
import { densely, openModel } from './inputs/model-input.ts';
import { openRefusalInput } from './inputs/refusal-input.ts';
import { publishFolder } from './outputs/model-artefact.ts';
import { Pace } from './outputs/pace.ts';
import { publishReport } from './outputs/report.ts';

export default handle(contract, async (context) => {
  const { params } = context;
  const { seed } = params;
  const base = await openModel(context, densely(params.model));
  const opened = await openModel(context, densely(params.copy));
  const copy = opened.model;
  try {
    requireSameShape(base.model, copy, '/copy');
    const { find, behaviour, digest, text } = await openRefusalInput(context, base);
    const pace = new Pace(context, 3);
    const folder = join(context.scratch, 'repaired');
    const { measured: found, plots } = await repairStudy({ base: base.model, copy, find, behaviour }, params, {
      of: { base: base.digest, copy: opened.digest, data: digest },
      checkpoints: context.checkpoint,
      folders: { source: opened.path, repaired: folder, scratch: context.scratch },
      stage: (name) => pace.next(name),
      swept: (done, of) => pace.at(done / of, 'sweeping', { points: done, of }),
    });
    const measured = { ...found, text, data_digest: digest };
    const { harmful: _harmful, harmless: _harmless, copy: _copy, model: _model, ...asked } = params;
    const origin = { method: contract.type, params: asked, seed };
    const body = {
      parent: { digest: opened.digest, revision: opened.revision },
      base_digest: base.digest,
      ...measured,
    };
    const model = measured.chosen
      ? await publishFolder(context, folder, {
          ...origin,
          model: opened.id,
          data_digest: digest,
          body: { ...body, points: [] },
        })
      : null;
    const report = await publishReport(
      context,
      { kind: 'refusal_repair', body, plots },
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
