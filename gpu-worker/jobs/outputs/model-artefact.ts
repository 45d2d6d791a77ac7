/** Model folders as published results: every file an artefact, the digest over those that decide the computation. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Blob, Manifest } from '../../../shared/contracts/manifest.ts';
import { FAMILIES } from '../../../shared/models/describe.ts';
import { canonicalJson, manifestId, sha256Hex } from '../../../shared/signing/digest.ts';
import { readJson, storageOf } from '../../lm/index.ts';
import { manifestOf } from '../../study/index.ts';
import type { JobContext } from '../handler.ts';
import { decidesComputation, describedModel } from '../inputs/model-input.ts';
import { splitFile, wholeName } from './file-parts.ts';

/**
 * Registers every file of the folder, the largest in parts, and returns the manifest of the model. A language model is
 * described to the edge, which knows it from its publication on.
 */
export async function publishFolder(
  context: Pick<JobContext<unknown>, 'artefact' | 'describeModel'>,
  folder: string,
  of: Pick<Manifest, 'method' | 'params' | 'seed' | 'model' | 'data_digest' | 'body'>,
): Promise<Manifest> {
  // Before large files are cut.
  const described = languageModelIn(folder);
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
  const digest = await sha256Hex(canonicalJson(Object.fromEntries(digests)));
  const manifest = manifestOf({
    kind: 'model',
    ...of,
    body: { ...of.body, ...(Object.keys(whole).length > 0 && { whole }) },
    model_digest: digest,
    hook: null,
    blobs,
  });
  if (described) {
    const id = await manifestId(manifest);
    context.describeModel(
      describedModel(described.config, { key: id, revision: id, digest, storage: described.storage }),
    );
  }
  return manifest;
}

/** The config of the language model in a folder, and how its weights are stored; null where it is no such model. */
function languageModelIn(folder: string): { config: unknown; storage: ReturnType<typeof storageOf> } | null {
  const config = existsSync(join(folder, 'config.json')) ? readJson(join(folder, 'config.json')) : null;
  if (typeof config !== 'object' || config === null || !('model_type' in config)) {
    return null;
  }
  if (!Object.hasOwn(FAMILIES, String(config.model_type))) {
    return null;
  }
  const storage = storageOf(folder);
  // How weights are packed says nothing of the model that they unpack to.
  const { quantization_config: _packing, ...own } = config as Record<string, unknown>;
  return { config: storage ? own : config, storage };
}
