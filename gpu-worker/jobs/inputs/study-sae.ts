/** The autoencoder of a study: published here, or a SAELens folder as two uploaded artefacts. */
import { readFile } from 'node:fs/promises';
import { SextantError } from '../../../shared/contracts/problem.ts';
import type contract from '../../../shared/jobs/compression.study.ts';
import type { ParamsOf } from '../../../shared/jobs/contract.ts';
import { readSae, type TrainedSae } from '../../sae/index.ts';
import type { JobContext } from '../handler.ts';
import { openSae } from '../outputs/sae-artefact.ts';
import type { OpenedModel } from './model-input.ts';

type StudyParams = ParamsOf<typeof contract>;
type StudySae = {
  sae: TrainedSae;
  hook: string;
  digest: string;
  /** How it was trained, where that is stored. */
  params: Readonly<Record<string, unknown>> | null;
};

/** @throws SextantError as `openSae`; `data_invalid` for an uploaded one without a hook, or of another width */
export async function openStudySae(context: JobContext<StudyParams>, model: OpenedModel): Promise<StudySae> {
  const { sae: reference, hook, allow_mismatch: allowMismatch } = context.params;
  if ('id' in reference) {
    const { sae, manifest } = await openSae(context, reference.id, model, { ...(hook && { hook }), allowMismatch });
    return { sae, hook: hook ?? manifest.hook!, digest: reference.id, params: manifest.params };
  }
  const bytes = async (id: string): Promise<Buffer> => {
    const input = context.input(id);
    const blob = input.blobs[0];
    if (!blob) {
      throw new SextantError('input_not_found', `the artefact ${id} has no bytes`);
    }
    return readFile(await input.file(blob.name));
  };
  let config: Record<string, unknown>;
  try {
    config = JSON.parse((await bytes(reference.config)).toString('utf8')) as Record<string, unknown>;
  } catch (error) {
    if (error instanceof SextantError) {
      throw error;
    }
    throw new SextantError('data_invalid', '/sae/config: the artefact is not JSON; it is the folder’s cfg.json');
  }
  const sae = readSae(await bytes(reference.weights), config);
  if (!hook) {
    throw new SextantError('data_invalid', '/hook: an uploaded SAE needs the hook point it was trained on');
  }
  const width = model.model.widthAt(hook);
  if (width !== sae.parameters.inputs) {
    throw new SextantError('data_invalid', `/sae: it reads ${sae.parameters.inputs} values, ${hook} has ${width}`);
  }
  return { sae, hook, digest: reference.weights, params: null };
}
