/** Steering vectors that params refer to, checked against the model they are to be used on. */
import { readFile } from 'node:fs/promises';
import { paramError, SextantError } from '../../../shared/contracts/problem.ts';
import { VECTOR_BLOB, vectorBodySchema } from '../../../shared/contracts/vector.ts';
import type { JobContext } from '../handler.ts';
import type { OpenedModel } from './model-input.ts';
import { pointerTo } from './param-pointer.ts';

export type OpenedVector = {
  hook: string;
  /** Unit norm. */
  values: Float32Array;
  residualNorm: number;
  /** Norm of the vector as it was found. */
  rawNorm: number;
};

/** @throws SextantError `input_not_found`; `data_invalid` for a vector of another model (unless allowed) or width */
export async function openVector(
  context: Pick<JobContext<unknown>, 'input' | 'params'>,
  id: string,
  model: OpenedModel,
  allowMismatch: boolean,
): Promise<OpenedVector> {
  const { manifest, file } = context.input(id);
  if (manifest?.kind !== 'vector' || manifest.hook === null) {
    throw new SextantError('input_not_found', `${id} is not a steering vector`);
  }
  const body = vectorBodySchema.parse(manifest.body);
  if (manifest.model_digest !== model.digest && !allowMismatch) {
    const detail = 'it was derived from another model; pass allow_mismatch to use it here';
    throw paramError('data_invalid', pointerTo(context.params, id), detail);
  }
  const width = model.model.widthAt(manifest.hook);
  if (width !== body.width) {
    const detail = `it has ${body.width} values, ${manifest.hook} has ${width}`;
    throw paramError('width_mismatch', pointerTo(context.params, id), detail);
  }
  const bytes = Uint8Array.from(await readFile(await file(VECTOR_BLOB)));
  const residualNorm = body.residual_norm;
  const rawNorm = (body.strength ?? 1) * residualNorm;
  return { hook: manifest.hook, values: new Float32Array(bytes.buffer), residualNorm, rawNorm };
}
