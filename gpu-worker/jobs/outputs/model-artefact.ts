/** Model folders as published results: every file an artefact, the digest over those that decide the computation. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Blob, Manifest } from '../../../shared/contracts/manifest.ts';
import { canonicalJson, sha256Hex } from '../../../shared/signing/digest.ts';
import type { JobContext } from '../handler.ts';
import { decidesComputation } from '../inputs/model-input.ts';
import { splitFile, wholeName } from './file-parts.ts';

/** Registers every file of the folder, the largest in parts, and returns the manifest of the model. */
export async function publishFolder(
  context: Pick<JobContext<unknown>, 'artefact'>,
  folder: string,
  of: Pick<Manifest, 'method' | 'params' | 'seed' | 'model' | 'data_digest' | 'body'>,
): Promise<Manifest> {
  const blobs: Blob[] = [];
  const whole: Record<string, string> = {};
  for (const name of readdirSync(folder)) {
    const digest = await splitFile(folder, name);
    if (digest !== null) {
      whole[name] = digest;
    }
  }
  for (const name of readdirSync(folder).sort()) {
    const type = name.endsWith('.json') ? 'application/json' : 'application/octet-stream';
    blobs.push(await context.artefact(name, type, { file: join(folder, name) }));
  }
  const own = blobs.map(({ name, sha256 }) => [wholeName(name), whole[wholeName(name)] ?? sha256] as const);
  const digests = own.filter(([name]) => decidesComputation(name));
  return {
    kind: 'model',
    schema: 1,
    ...of,
    body: { ...of.body, ...(Object.keys(whole).length > 0 && { whole }) },
    model_digest: await sha256Hex(canonicalJson(Object.fromEntries(digests))),
    hook: null,
    blobs,
  };
}
