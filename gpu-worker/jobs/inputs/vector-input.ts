/** Steering vectors that params refer to, checked against the model they are to be used on. */
import { readFile } from 'node:fs/promises';
import { SextantError } from '../../../shared/contracts/problem.ts';
import {
  type SteeringMode,
  VECTOR_BLOB,
  type VectorReference,
  vectorBodySchema,
} from '../../../shared/contracts/vector.ts';
import type { JobContext } from '../handler.ts';
import type { OpenedModel } from './model-input.ts';

type OpenedVector = {
  hook: string;
  /** Unit norm. */
  values: Float32Array;
  residualNorm: number;
  /** Norm of the vector as it was found. */
  rawNorm: number;
};

/** @throws SextantError `input_not_found`; `data_invalid` for a vector of another model (unless allowed) or width */
async function openVector(
  context: Pick<JobContext<unknown>, 'input'>,
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
    throw new SextantError('data_invalid', `${id} was derived from another model; pass allow_mismatch to use it here`);
  }
  const width = model.model.widthAt(manifest.hook);
  if (width !== body.width) {
    throw new SextantError('width_mismatch', `${id} has ${body.width} values, ${manifest.hook} has ${width}`);
  }
  const bytes = Uint8Array.from(await readFile(await file(VECTOR_BLOB)));
  const residualNorm = body.residual_norm;
  const rawNorm = (body.strength ?? 1) * residualNorm;
  return { hook: manifest.hook, values: new Float32Array(bytes.buffer), residualNorm, rawNorm };
}

/** A direction that is added to the residual stream, or whose part in it is scaled. */
type Steering =
  | { kind: 'add'; hook: string; vector: Float32Array; strength: number }
  | { kind: 'project'; hook: string; directions: Float32Array; factor: number };

type SteeringUse = { vector: VectorReference; strength: number; mode: SteeringMode | null };

/**
 * Vectors and their strengths as edits of the model: without a mode in units of the mean residual norm stored with each; those
 * of strength 0 are none.
 * @throws SextantError as `openVector`, and `input_not_found` for a name that the edge did not resolve
 */
export async function openSteering(
  context: Pick<JobContext<unknown>, 'input'>,
  vectors: readonly SteeringUse[],
  model: OpenedModel,
  allowMismatch: boolean,
): Promise<Steering[]> {
  const edits: Steering[] = [];
  for (const { vector: id, strength, mode } of vectors) {
    if (typeof id !== 'string') {
      throw new SextantError('input_not_found', `the vector name "${id.name}" was not resolved`);
    }
    const { hook, values, residualNorm, rawNorm } = await openVector(context, id, model, allowMismatch);
    if (strength === 0) {
      continue;
    }
    if (mode === 'proj_unit' || mode === 'proj_raw') {
      const factor = 1 + strength * (mode === 'proj_raw' ? rawNorm ** 2 : 1);
      edits.push({ kind: 'project', hook, directions: values, factor });
    } else {
      edits.push({ kind: 'add', hook, vector: values, strength: strength * (mode === 'add' ? rawNorm : residualNorm) });
    }
  }
  return edits;
}
