/** Denoising models that params name: a published one, an alias of the worker's, or the one that ships. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type ModelReference, modelKey } from '../../../shared/contracts/model.ts';
import { SextantError } from '../../../shared/contracts/problem.ts';
import { canonicalJson, sha256Hex } from '../../../shared/signing/digest.ts';
import {
  CONFIG_FILE,
  ECG_FAMILY,
  type EcgModel,
  parameterCount,
  readEcgModel,
  SHIPPED_MODEL,
  WEIGHTS_FILE,
} from '../../ecg/model/document.ts';
import type { JobContext } from '../handler.ts';

type OpenedEcgModel = EcgModel & { name: string };

/** @throws SextantError `model_unknown`, `model_unsupported`, `input_not_found` */
export async function openEcgModel(
  context: Pick<JobContext<unknown>, 'configuration' | 'input' | 'describeModel'>,
  reference: ModelReference | null,
): Promise<OpenedEcgModel> {
  const [config, weights] = await filesOf(context, reference);
  const model = await readEcgModel(config, weights);
  if (!reference) {
    return { ...model, name: 'shipped' };
  }
  const digests = await Promise.all(
    [config, weights].map(async (file) => sha256Hex(new Uint8Array(await readFile(file)))),
  );
  const digest = await sha256Hex(canonicalJson(digests));
  const key = modelKey(reference);
  const revision = 'id' in reference ? reference.id : digest;
  context.describeModel({
    task: 'ecg',
    key,
    family: ECG_FAMILY,
    revision,
    digest,
    parameters: parameterCount(model.weights),
  });
  return { ...model, name: key };
}

async function filesOf(
  { configuration, input }: Pick<JobContext<unknown>, 'configuration' | 'input'>,
  reference: ModelReference | null,
): Promise<[string, string]> {
  if (reference && 'hub' in reference) {
    throw new SextantError('model_unsupported', 'hubs hold language models; name a model that ecg.train made, or none');
  }
  if (reference && 'id' in reference) {
    const { blobs, file } = input(reference.id);
    if (!blobs.some(({ name }) => name === WEIGHTS_FILE)) {
      throw new SextantError('model_unsupported', `${reference.id} is no model that ecg.train made`);
    }
    return [await file(CONFIG_FILE), await file(WEIGHTS_FILE)];
  }
  const folder = reference ? configuration.models[reference.local] : SHIPPED_MODEL;
  if (!folder || !existsSync(join(folder, CONFIG_FILE))) {
    throw new SextantError(
      'model_unknown',
      reference
        ? `this worker has no model alias '${reference.local}'`
        : 'this worker was built without a denoising model',
    );
  }
  return [join(folder, CONFIG_FILE), join(folder, WEIGHTS_FILE)];
}
