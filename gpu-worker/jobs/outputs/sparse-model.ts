/** A block-wise sparse model as a published result, and the report of the comparison that it was chosen from. */
import type { Blob, Manifest } from '../../../shared/contracts/manifest.ts';
import { writeSafetensors } from '../../../shared/formats/safetensors.ts';
import { canonicalJson, sha256Hex } from '../../../shared/signing/digest.ts';
import type { PointModel } from '../../block-sparse/measure.ts';
import { denseTensors, storedModel } from '../../block-sparse/stored-layers.ts';
import { reportFiles, type StudyReport } from '../../study/index.ts';
import type { JobContext } from '../handler.ts';
import type { OpenedSubject, SparseParams } from '../inputs/sparse-subject.ts';

type Origin = { params: SparseParams; seed: number; opened: OpenedSubject; body: Record<string, unknown> };

const METHOD = 'block_sparse.train';
const [TENSORS, JSON_TYPE] = ['application/octet-stream', 'application/json'];
/** How a stored layer computes, in words, for whoever opens the file without this project. */
const READING =
  'y = x W + bias; W of inputs x outputs is cut into tiles of m x n, row-major in a grid of p x q. factored: tile (a, c) is ' +
  'S[a,c] * sum_i A[i,a,c] B[i]. block_csr: as torch.sparse_bsr_tensor names its parts.';

export async function publishSparseModel(
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
  for (const [name, type, content] of files) blobs.push(await context.artefact(name, type, content));
  const digests = blobs.map(({ name, sha256 }) => [name, sha256]);
  return {
    kind: 'model',
    schema: 1,
    method: METHOD,
    params,
    seed,
    model: null,
    model_digest: await sha256Hex(canonicalJson(Object.fromEntries(digests))),
    hook: null,
    data_digest: opened.digest,
    blobs,
    body: { task: opened.task, layers, ...body },
  };
}

export async function publishComparison(
  context: Pick<JobContext<unknown>, 'artefact'>,
  report: StudyReport,
  { params, opened, seed }: Omit<Origin, 'body'>,
): Promise<Manifest> {
  const blobs: Blob[] = [];
  for (const { name, mediaType, content } of reportFiles(report))
    blobs.push(await context.artefact(name, mediaType, content));
  return {
    kind: 'report',
    schema: 1,
    method: METHOD,
    params,
    seed,
    model: null,
    model_digest: null,
    hook: null,
    data_digest: opened.digest,
    blobs,
    body: report.body,
  };
}
