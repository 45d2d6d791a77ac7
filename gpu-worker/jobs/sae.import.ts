/** Handler of `sae.import`: reads the files by the rules of the library that wrote them, and publishes what they hold. */
import { readFile } from 'node:fs/promises';
import { paramError, SextantError } from '../../shared/contracts/problem.ts';
import contract from '../../shared/jobs/sae.import.ts';
import { canonicalJson, manifestId, sha256Hex } from '../../shared/signing/digest.ts';
import { readSae } from '../sae/index.ts';
import { handle, type JobContext } from './handler.ts';
import { openModel } from './inputs/model-input.ts';
import { publishSae } from './outputs/sae-artefact.ts';

export default handle(contract, async (context) => {
  const { params } = context;
  const [weights, config] = [await artefactBytes(context, params.weights), await readConfig(context, params.config)];
  const sae = readSae(weights.bytes, config.document);
  const opened = await openModel(context, params.model);
  try {
    const width = opened.model.widthAt(params.hook);
    if (width !== sae.parameters.inputs) {
      const detail = `the autoencoder reads ${sae.parameters.inputs} values, ${params.hook} has ${width}`;
      throw paramError('width_mismatch', '/hook', detail);
    }
    const { id, digest } = opened;
    const manifest = await publishSae(context, sae, {
      index: 0,
      model: { id, digest },
      hook: params.hook,
      scale: params.input_scale,
      dataDigest: await sha256Hex(canonicalJson([weights.sha256, config.sha256])),
      seed: 0,
      params: { provenance: 'uploaded', note: params.note },
      measures: {},
      dashboards: null,
    });
    return {
      result: {
        sae: await manifestId(manifest),
        variant: sae.variant,
        inputs: sae.parameters.inputs,
        width: sae.parameters.width,
        k: sae.k,
      },
      published: [manifest],
      metrics: {},
      run: { device: 'cpu', dtype: 'float32', seed: null, tolerance: null },
    };
  } finally {
    await opened.model.release();
  }
});

async function artefactBytes(context: Pick<JobContext<unknown>, 'input'>, id: string) {
  const input = context.input(id);
  const [blob] = input.blobs;
  if (!blob) {
    throw new SextantError('input_not_found', `the artefact ${id} has no bytes`);
  }
  return { bytes: new Uint8Array(await readFile(await input.file(blob.name))), sha256: blob.sha256 };
}

async function readConfig(context: Pick<JobContext<unknown>, 'input'>, id: string | null) {
  if (id === null) {
    return { document: {}, sha256: null };
  }
  const { bytes, sha256 } = await artefactBytes(context, id);
  try {
    return { document: JSON.parse(new TextDecoder().decode(bytes)) as Record<string, unknown>, sha256 };
  } catch (error) {
    throw paramError('data_invalid', '/config', `the configuration is not JSON: ${(error as Error).message}`);
  }
}
