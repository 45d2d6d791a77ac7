/** The answer of a job of type `activations.read`: its file as it is, or its rows as JSON. */
import type { z } from 'zod';
import type { Job } from '../../shared/contracts/job.ts';
import { SextantError } from '../../shared/contracts/problem.ts';
import { readSafetensors, type Safetensors } from '../../shared/formats/safetensors.ts';
import type activationsRead from '../../shared/jobs/activations.read.ts';
import { ACTIVATIONS_FILE } from '../../shared/jobs/activations.read.ts';
import type { ResultOf } from '../../shared/jobs/contract.ts';
import type { activationsSchema } from '../../shared/requests/activations.ts';
import { blobKey } from '../artefacts/addresses.ts';
import type { Env } from '../environment.ts';

type Result = ResultOf<typeof activationsRead>;

/** A number takes some ten characters as JSON. */
const MOST_JSON_BYTES = 8 * 1024 * 1024;

/** The bytes of the job's file. @throws SextantError `not_found` where they have been deleted */
export async function activationFile(env: Env, tenant: string, job: Job): Promise<R2ObjectBody> {
  const file = job.artefacts.find(({ name }) => name === ACTIVATIONS_FILE);
  const object = file ? await env.R2.get(blobKey(tenant, file.sha256)) : null;
  if (!object) {
    throw new SextantError('not_found', `the rows of ${job.id} have been deleted`);
  }
  return object;
}

/** @throws SextantError `not_acceptable` for more numbers than JSON is good for, and as `activationFile` */
export async function activationRows(env: Env, tenant: string, job: Job): Promise<z.output<typeof activationsSchema>> {
  const object = await activationFile(env, tenant, job);
  if (object.size > MOST_JSON_BYTES) {
    await object.body.cancel();
    throw new SextantError(
      'not_acceptable',
      `${object.size} bytes of numbers are too many for JSON (${MOST_JSON_BYTES}); ask for "format": "safetensors", or read the artefact of ${job.id}`,
    );
  }
  const file = readSafetensors(new Uint8Array(await object.arrayBuffer()));
  const { hooks, patterns, ...rest } = job.result as Result;
  return {
    ...rest,
    job: job.id,
    hooks: Object.fromEntries(
      Object.entries(hooks).map(([hook, width]) => [hook, { width, values: rowsOf(file, hook) }]),
    ),
    patterns: patterns.map(({ document, layer, tensor }) => {
      const [heads = 0, queries = 0, keys = 0] = file.shape(tensor);
      const values = file.float32(tensor);
      const head = (h: number) => cut(values.subarray(h * queries * keys, (h + 1) * queries * keys), keys);
      return { document, layer, heads: Array.from({ length: heads }, (_, h) => head(h)) };
    }),
  };
}

const rowsOf = (file: Safetensors, name: string): number[][] => cut(file.float32(name), file.shape(name)[1] ?? 1);

const cut = (values: Float32Array, width: number): number[][] =>
  Array.from({ length: values.length / width }, (_, row) =>
    Array.from(values.subarray(row * width, (row + 1) * width)),
  );
