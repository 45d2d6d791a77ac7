/** Autoencoders as published results: publishing one, and reading one that params name. */
import { readFile } from 'node:fs/promises';
import { LATENT_INDEX_BLOB, type Latent, type LatentIndex, latentShardBlob } from '../../../shared/contracts/latent.ts';
import type { Blob, Manifest } from '../../../shared/contracts/manifest.ts';
import { paramError, SextantError } from '../../../shared/contracts/problem.ts';
import { CONFIG_FILE, readSae, SAE_FILES, saelensFolder, type TrainedSae, WEIGHTS_FILE } from '../../sae/index.ts';
import { manifestOf } from '../../study/index.ts';
import type { JobContext } from '../handler.ts';
import type { OpenedActivations } from '../inputs/activation-files.ts';
import type { OpenedModel } from '../inputs/model-input.ts';
import { pointerTo } from '../inputs/param-pointer.ts';

type SaeDetails = {
  /** Number within the job, for the names of its artefacts. */
  index: number;
  /** What the activations are of; null where nobody knows. */
  model: { id: string | null; digest: string | null };
  hook: string | null;
  scale: number;
  dataDigest: string;
  seed: number;
  params: Record<string, unknown>;
  measures: Record<string, unknown>;
  /** Dashboards of the latents, or null where none were made. */
  dashboards: { latents: readonly Latent[]; index: LatentIndex } | null;
};

/** Registers the SAELens files and returns the manifest that binds them to model, hook and input scaling. */
export async function publishSae(
  context: Pick<JobContext<unknown>, 'artefact'>,
  sae: TrainedSae,
  details: SaeDetails,
): Promise<Manifest> {
  const { index, model, hook, scale, dataDigest, seed, params, measures, dashboards } = details;
  const { config, weights } = saelensFolder(sae, {
    model_name: model.id ?? model.digest ?? '',
    hook_name: hook ?? '',
    input_scale: scale,
  });
  const blobs: Blob[] = [];
  const add = async (name: string, type: string, content: Uint8Array) => {
    blobs.push({ ...(await context.artefact(`sae-${index}.${name}`, type, content)), name });
  };
  await add(CONFIG_FILE, 'application/json', config);
  await add(WEIGHTS_FILE, 'application/octet-stream', weights);
  if (dashboards) {
    await add(LATENT_INDEX_BLOB, 'application/json', json(dashboards.index));
    for (let shard = 0; shard * dashboards.index.shard < dashboards.latents.length; shard++) {
      const part = dashboards.latents.slice(shard * dashboards.index.shard, (shard + 1) * dashboards.index.shard);
      await add(latentShardBlob(shard), 'application/json', json(part));
    }
  }
  const { inputs, width } = sae.parameters;
  return manifestOf({
    kind: 'sae',
    method: sae.variant,
    params,
    seed,
    model: model.id,
    model_digest: model.digest,
    hook,
    data_digest: dataDigest,
    blobs,
    body: { variant: sae.variant, width, inputs, k: sae.k, input_scale: scale, measures },
  });
}

const json = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));

/** What an autoencoder was trained for differs from what it is applied to. */
type SaeUse = { sae: TrainedSae; manifest: Manifest; hook: string; mismatch: string[] };

/** Reads a published autoencoder. @throws SextantError `input_not_found`, `data_invalid`, and as `readSae` */
async function readPublishedSae(
  context: Pick<JobContext<unknown>, 'input'>,
  id: string,
): Promise<{ sae: TrainedSae; manifest: Manifest }> {
  const input = context.input(id);
  const { manifest } = input;
  if (manifest?.kind !== 'sae') {
    throw new SextantError('input_not_found', `${id} is not an SAE`);
  }
  const named = (names: readonly string[]) => names.find((name) => input.blobs.some((blob) => blob.name === name));
  const [configFile, weightsFile] = [named(SAE_FILES.config), named(SAE_FILES.weights)];
  if (!weightsFile) {
    throw new SextantError('data_invalid', `${id} has none of ${SAE_FILES.weights.join(', ')}`);
  }
  const config = configFile ? JSON.parse(await readFile(await input.file(configFile), 'utf8')) : {};
  return { sae: readSae(await readFile(await input.file(weightsFile)), config as Record<string, unknown>), manifest };
}

/** @throws SextantError `data_invalid` where what it was trained for differs and is not let through */
function mismatchOf(
  { params }: Pick<JobContext<unknown>, 'params'>,
  id: string,
  manifest: Manifest,
  on: { digest: string | null; hook: string | null },
  allowMismatch: boolean,
): string[] {
  const mismatch = [
    ...(manifest.model_digest !== null && on.digest !== null && manifest.model_digest !== on.digest ? ['model'] : []),
    ...(manifest.hook !== on.hook ? ['hook'] : []),
  ];
  if (mismatch.length > 0 && !allowMismatch) {
    const what = mismatch.map((part) => (part === 'hook' ? `hook ${manifest.hook}` : 'another model')).join(' and ');
    const detail = `it was trained for ${what}; pass allow_mismatch to use it here`;
    throw paramError('data_invalid', pointerTo(params, id), detail);
  }
  return mismatch;
}

/**
 * Reads a published autoencoder for use on rows of activations, which may not say where they are from.
 * @throws SextantError `data_invalid` where model or hook are known, differ and `allowMismatch` is false, or the width does not fit
 */
export async function openSaeForRows(
  context: Pick<JobContext<unknown>, 'input' | 'params'>,
  id: string,
  { origin, files }: Pick<OpenedActivations, 'origin' | 'files'>,
  allowMismatch: boolean,
): Promise<Omit<SaeUse, 'hook'> & { hook: string | null }> {
  const { sae, manifest } = await readPublishedSae(context, id);
  const hook = origin.hook ?? manifest.hook;
  const mismatch = mismatchOf(context, id, manifest, { digest: origin.digest, hook }, allowMismatch);
  if (files.width !== sae.parameters.inputs) {
    const detail = `it reads ${sae.parameters.inputs} values, the rows have ${files.width}`;
    throw paramError('data_invalid', pointerTo(context.params, id), detail);
  }
  return { sae, manifest, hook, mismatch };
}

/**
 * Reads a published autoencoder for use on a model, at `hook` or its own.
 * @throws SextantError `data_invalid` where model or hook differ and `allowMismatch` is false, or the width does not fit
 */
export async function openSae(
  context: Pick<JobContext<unknown>, 'input' | 'params'>,
  id: string,
  model: OpenedModel,
  { hook, allowMismatch }: { hook?: string; allowMismatch: boolean },
): Promise<SaeUse> {
  const { sae, manifest } = await readPublishedSae(context, id);
  const at = hook ?? manifest.hook ?? '';
  const mismatch = mismatchOf(context, id, manifest, { digest: model.digest, hook: at }, allowMismatch);
  const width = model.model.widthAt(at);
  if (width !== sae.parameters.inputs) {
    const detail = `it reads ${sae.parameters.inputs} values, ${at} has ${width}`;
    throw paramError('data_invalid', pointerTo(context.params, id), detail);
  }
  return { sae, manifest, hook: at, mismatch };
}
