/** Handler of `fairness.edit_layer`. */
import { categoryNames } from '../../shared/fairness/predictors/encode.ts';
import contract from '../../shared/jobs/fairness.edit_layer.ts';
import { publishedPredictor } from '../fairness/publish.ts';
import { fitEditedLayer } from '../fairness/spectral/fit.ts';
import { publishedNetwork } from '../fairness/spectral/network-source.ts';
import { openTable, tableReport } from '../fairness/table-input.ts';
import { handle } from './handler.ts';
import { fittingParts } from './outputs/fitting-parts.ts';

export default handle(contract, async (context) => {
  const { params, configuration, input, artefact, progress } = context;
  const { target, group, features } = params;
  const given = await publishedNetwork(params.network, context);
  const inputs = given?.inputs ?? [];
  const opened = await openTable(context, params.table, {
    read: [target, group, ...features.columns, ...inputs.map((one) => one.name)],
    text: [group, ...features.categorical, ...categoryNames(inputs)],
  });
  const epochs = 'epochs' in params.network ? params.network.epochs : 0;
  const fitted = await fitEditedLayer(
    params,
    opened.table,
    given,
    {
      input,
      configuration,
      onEpoch: (epoch, loss) =>
        progress({
          fraction: (0.6 * (epoch + 1)) / epochs,
          stage: 'training',
          metrics: { epoch: epoch + 1, loss },
        }),
    },
    (done, of) => progress({ fraction: 0.6 + (0.35 * done) / of, stage: 'editing', metrics: { setting: done } }),
  );
  const origin = {
    method: 'fairness.edit_layer',
    params: fitted.method,
    seed: params.seed,
    dataDigest: opened.digest,
  };
  const published = await publishedPredictor(fitted.document, origin, artefact);
  for (const [name, svg] of Object.entries(fitted.plots)) {
    await artefact(name, 'image/svg+xml', new TextEncoder().encode(svg));
  }
  const { groups, excluded, inputs: encoded, ...rest } = fitted.result;
  const table = tableReport(opened, fitted.usedRows);
  const { shown, file } = await fittingParts(context, 'parts.json', { table, groups, excluded, inputs: encoded });
  const [before, after] = [fitted.before.test, fitted.after.test];
  const gaps = Number.isFinite(after.ks) ? { ks: after.ks, ks_before: before.ks } : {};
  return {
    result: { ...rest, ...shown, parts_file: file, predictor: published.id },
    published: [published.manifest],
    metrics: { mse: after.mse, mse_before: before.mse, ...gaps },
    run: { device: fitted.device, dtype: 'float32', seed: params.seed, tolerance: null },
  };
});
