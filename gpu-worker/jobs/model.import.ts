/** Handler of `model.import`: files side by side, checked by opening the model that they make, and published. */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { paramError } from '../../shared/contracts/problem.ts';
import contract from '../../shared/jobs/model.import.ts';
import { describe } from '../../shared/models/describe.ts';
import { canonicalJson, manifestId, sha256Hex } from '../../shared/signing/digest.ts';
import { isAdapter, loadModel, mergedWeights, writeEditedFolder } from '../lm/index.ts';
import { chooseProvider } from '../runtime/index.ts';
import { handle } from './handler.ts';
import { openImported } from './inputs/imported-folder.ts';
import { densely, openModel } from './inputs/model-input.ts';
import { publishFolder } from './outputs/model-artefact.ts';

export default handle(contract, async (context) => {
  const { params } = context;
  const imported = await openImported(context);
  const adapter = isAdapter(imported.folder);
  if (adapter !== (params.base !== null)) {
    const detail = adapter
      ? 'the files are an adapter: name the model that it is to be merged into'
      : 'the files are a model of their own: leave the base out';
    throw paramError('data_invalid', '/base', detail);
  }
  let { folder } = imported;
  let merged: number | null = null;
  let base: { id: string | null } = { id: null };
  if (params.base) {
    const opened = await openModel(context, densely(params.base));
    try {
      const weights = mergedWeights(folder, opened.model.folder);
      folder = join(context.scratch, 'merged');
      writeEditedFolder(opened.model.folder, folder, weights);
      merged = weights.size;
      base = opened;
    } finally {
      await opened.model.release();
    }
  }
  const { provider } = await chooseProvider(context.configuration.device);
  const { threads } = context.configuration;
  const model = await loadModel(folder, { device: provider, threads, spinning: false, scratch: context.scratch });
  const summary = describe(model.folder.config);
  await model.release();
  const files = readdirSync(folder).map((name) => ({ name, bytes: statSync(join(folder, name)).size }));
  const manifest = await publishFolder(context, folder, {
    method: contract.type,
    params: { provenance: 'uploaded', adapter, note: params.note },
    seed: null,
    model: base.id,
    data_digest: await sha256Hex(canonicalJson(imported.digests)),
    body: { family: summary.family, parameters: summary.parameters },
  });
  const result = {
    model: await manifestId(manifest),
    family: summary.family,
    parameters: summary.parameters,
    files,
    left_out: imported.left_out.slice(0, 100),
    merged,
  };
  return {
    result,
    published: [manifest],
    metrics: {},
    run: { device: provider, dtype: 'float32', seed: null, tolerance: null },
  };
});
