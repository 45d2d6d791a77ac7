/** Model folders as published results: every file an artefact, the digest over those that decide the computation. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Blob, Manifest } from '../../../shared/contracts/manifest.ts';
import { canonicalJson, sha256Hex } from '../../../shared/signing/digest.ts';
import type { JobContext } from '../handler.ts';
import { decidesComputation } from '../inputs/model-input.ts';

/** Registers every file of the folder and returns the manifest of the model. */
export async function publishFolder(
  context: Pick<JobContext<unknown>, 'artefact'>,
  folder: string,
  of: Pick<Manifest, 'method' | 'params' | 'seed' | 'model' | 'data_digest' | 'body'>,
): Promise<Manifest> {
  const blobs: Blob[] = [];
  for (const name of readdirSync(folder).sort()) {
    const type = name.endsWith('.json') ? 'application/json' : 'application/octet-stream';
    blobs.push(await context.artefact(name, type, { file: join(folder, name) }));
  }
  const digests = blobs.filter(({ name }) => decidesComputation(name)).map(({ name, sha256 }) => [name, sha256]);
  return {
    kind: 'model',
    schema: 1,
    ...of,
    model_digest: await sha256Hex(canonicalJson(Object.fromEntries(digests))),
    hook: null,
    blobs,
  };
}
