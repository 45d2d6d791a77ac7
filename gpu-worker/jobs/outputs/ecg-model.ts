/** Denoisers as published results: the folder of a model that was trained, and what the edge is told of it. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Manifest } from '../../../shared/contracts/manifest.ts';
import { manifestId } from '../../../shared/signing/digest.ts';
import { ECG_FAMILY, type EcgModel, parameterCount, writeEcgModel } from '../../ecg/model/document.ts';
import type { JobContext } from '../handler.ts';
import { publishFolder } from './model-artefact.ts';

type Published = { id: string; manifest: Manifest; parameters: number };

/** @param of how it was made; `body` is what its manifest says beside its size */
export async function publishEcgModel(
  context: Pick<JobContext<unknown>, 'artefact' | 'scratch' | 'describeModel'>,
  model: EcgModel,
  { body, ...of }: Pick<Manifest, 'method' | 'params' | 'seed' | 'data_digest' | 'body'>,
): Promise<Published> {
  const folder = join(context.scratch, 'trained');
  await mkdir(folder, { recursive: true });
  await writeEcgModel(folder, model);
  const parameters = parameterCount(model.weights);
  const manifest = await publishFolder(context, folder, {
    ...of,
    model: null,
    body: { task: 'ecg', parameters, ...body, parent: null },
  });
  const id = await manifestId(manifest);
  const digest = manifest.model_digest ?? id;
  context.describeModel({ task: 'ecg', key: id, family: ECG_FAMILY, revision: id, digest, parameters });
  return { id, manifest, parameters };
}
