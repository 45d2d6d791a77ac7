/** A block-wise sparse model as a published result, and the report of the comparison that it was chosen from. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Blob, Manifest } from '../../../shared/contracts/manifest.ts';
import { writeSafetensors } from '../../../shared/formats/safetensors.ts';
import { canonicalJson, manifestId, sha256Hex } from '../../../shared/signing/digest.ts';
import type { PointModel } from '../../block-sparse/comparison/measure.ts';
import { denseTensors, storedModel } from '../../block-sparse/stored/stored-layers.ts';
import {
  BLOCK_SPARSE_LAYERS,
  BLOCK_SPARSE_WEIGHTS,
  denseWeightFile,
} from '../../block-sparse/stored/stored-reading.ts';
import { blockLinears } from '../../block-sparse/training/language.ts';
import { copyFiles, KEPT_FILES } from '../../lm/index.ts';
import { manifestOf, reportFiles, type StudyReport } from '../../study/index.ts';
import type { JobContext } from '../handler.ts';
import type { OpenedModel } from '../inputs/model-input.ts';
import type { OpenedSubject, SparseParams } from '../inputs/sparse-subject.ts';
import { publishFolder } from './model-artefact.ts';

type Origin = { params: SparseParams; seed: number; opened: OpenedSubject; body: Record<string, unknown> };

const METHOD = 'block_sparse.train';
const [TENSORS, JSON_TYPE] = ['application/octet-stream', 'application/json'];
/** How a stored layer computes, in words, for whoever opens the file without this project. */
const READING =
  'y = x W + bias; W of inputs x outputs is cut into tiles of m x n, row-major in a grid of p x q. factored: tile (a, c) is ' +
  'S[a,c] * sum_i A[i,a,c] B[i]. block_csr: as torch.sparse_bsr_tensor names its parts.';

/** A model is described to the edge, which then refuses one of tables or images to jobs over text. */
export async function publishSparseModel(
  context: Pick<JobContext<unknown>, 'artefact' | 'scratch' | 'describeModel'>,
  model: PointModel,
  origin: Origin,
): Promise<Manifest> {
  const { opened, params } = origin;
  if (opened.task === 'language') {
    return publishLanguageModel(context, model, origin, opened.parent);
  }
  const manifest = await networkManifest(context, model, origin);
  const id = await manifestId(manifest);
  context.describeModel({
    task: opened.task,
    key: id,
    family: `block-sparse-${params.model.kind}`,
    revision: id,
    digest: manifest.model_digest ?? id,
    parameters: Object.values(model.values).reduce((sum, { data }) => sum + data.length, 0),
  });
  return manifest;
}

/** The network's layers as they are stored, and on request dense beside them. */
async function networkManifest(
  context: Pick<JobContext<unknown>, 'artefact'>,
  model: PointModel,
  { params, seed, opened, body }: Origin,
): Promise<Manifest> {
  const { layers, tensors } = storedModel(model, params.format);
  const config = { ...opened.description, task: opened.task, layers, reading: READING };
  const files: [string, string, Uint8Array][] = [
    ['config.json', JSON_TYPE, new TextEncoder().encode(`${JSON.stringify(config, null, 1)}\n`)],
    ['model.safetensors', TENSORS, writeSafetensors(tensors, { format: 'pt' })],
    ...(params.dense_export
      ? [
          ['dense.safetensors', TENSORS, writeSafetensors(denseTensors(model), { format: 'pt' })] as [
            string,
            string,
            Uint8Array,
          ],
        ]
      : []),
  ];
  const blobs: Blob[] = [];
  for (const [name, type, content] of files) {
    blobs.push(await context.artefact(name, type, content));
  }
  const digests = blobs.map(({ name, sha256 }) => [name, sha256]);
  return manifestOf({
    kind: 'model',
    method: METHOD,
    params,
    seed,
    model: null,
    model_digest: await sha256Hex(canonicalJson(Object.fromEntries(digests))),
    hook: null,
    data_digest: opened.digest,
    blobs,
    body: { task: opened.task, layers, ...body },
  });
}

/** The parent's folder with the weights as they are stored now; a dense copy beside them opens in `transformers`. */
async function publishLanguageModel(
  { scratch, ...context }: Pick<JobContext<unknown>, 'artefact' | 'scratch' | 'describeModel'>,
  model: PointModel,
  { params, seed, opened, body }: Origin,
  parent: OpenedModel,
): Promise<Manifest> {
  const { folder } = parent.model;
  const linears = blockLinears(folder.weights);
  const { layers, tensors } = storedModel(model, params.format);
  const described = Object.entries(layers).map(([name, layer]) => {
    const { layout } = linears.find((linear) => linear.name === name) ?? { layout: 'in_out' as const };
    return [name, { ...layer, layout }];
  });
  const description = { layers: Object.fromEntries(described), reading: READING };
  const to = join(scratch, 'block-sparse-model');
  mkdirSync(to, { recursive: true });
  copyFiles(folder.path, to, ['config.json', ...KEPT_FILES]);
  const weights = writeSafetensors(tensors, { format: 'pt' });
  writeFileSync(join(to, BLOCK_SPARSE_WEIGHTS), weights);
  writeFileSync(join(to, BLOCK_SPARSE_LAYERS), `${JSON.stringify(description, null, 1)}\n`);
  if (params.dense_export) {
    writeFileSync(join(to, 'model.safetensors'), denseWeightFile(weights, description));
  }
  const { model: _reference, ...task } = params.task as Extract<SparseParams['task'], { kind: 'lm' }>;
  return publishFolder(context, to, {
    method: METHOD,
    params: { ...params, task },
    seed,
    model: parent.id,
    data_digest: opened.digest,
    body: {
      task: opened.task,
      layers: description.layers,
      parent: { revision: parent.revision, digest: parent.digest },
      ...body,
    },
  });
}

export async function publishComparison(
  context: Pick<JobContext<unknown>, 'artefact'>,
  report: StudyReport,
  { params, opened, seed }: Omit<Origin, 'body'>,
): Promise<Manifest> {
  const blobs: Blob[] = [];
  for (const { name, mediaType, content } of reportFiles(report)) {
    blobs.push(await context.artefact(name, mediaType, content));
  }
  return manifestOf({
    kind: 'report',
    method: METHOD,
    params,
    seed,
    model: null,
    model_digest: null,
    hook: null,
    data_digest: opened.digest,
    blobs,
    body: report.body,
  });
}
