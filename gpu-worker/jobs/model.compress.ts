/**
 * Handler of `model.compress`: block by block on the stream of the compressed blocks. Finished blocks are published, so that
 * another worker goes on at the block where one died, to the same bytes.
 */
import { cpSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import contract from '../../shared/jobs/model.compress.ts';
import { canonicalJson, manifestId, sha256Hex } from '../../shared/signing/digest.ts';
import {
  type BlockReport,
  type Compressed,
  type CompressionPlan,
  changesNothing,
  compressionPlots,
  compressModel,
  requirePlan,
  selectedLinears,
} from '../compression/index.ts';
import { copyFiles, crossEntropy, KEPT_FILES, loadModel } from '../lm/index.ts';
import { CompressionCheckpoints } from './checkpoints/compression-checkpoint.ts';
import { handle } from './handler.ts';
import { openCorpus } from './inputs/corpus-input.ts';
import { densely, openModel } from './inputs/model-input.ts';
import { wholeSequences } from './inputs/sequence-sets.ts';
import { publishFolder } from './outputs/model-artefact.ts';
import { publishReport } from './outputs/report.ts';

export default handle(contract, async (context) => {
  const { params, configuration } = context;
  const { method, share, shares, bits, group, symmetric, linears } = params;
  const pattern = params.pattern ?? (method === 'n_of_m' ? { n: 2, m: 4 } : null);
  const plan: CompressionPlan = { method, share, shares, pattern, bits, group, symmetric, linears };
  const opened = await openModel(context, densely(params.model));
  const { model } = opened;
  try {
    requirePlan(plan, model.architecture.layers, selectedLinears(model.folder, plan));
    const corpus = await openCorpus(context, params.corpus, model, opened.digest);
    const read = (split: 'train' | 'held-out', tokens: number, pointer: string) =>
      wholeSequences(corpus, split, model, { context: params.context, tokens, pointer });
    const calibration = await read('train', params.tokens, '/tokens');
    const heldOut = await read('held-out', params.held_out_tokens, '/held_out_tokens');
    const tokens = calibration.reduce((sum, ids) => sum + ids.length, 0);
    const dense = await crossEntropy(model, heldOut);
    const folder = join(context.scratch, 'compressed');
    mkdirSync(folder);
    const of = await sha256Hex(
      canonicalJson({ plan, model: opened.digest, corpus: corpus.digest, params: sizes(params) }),
    );
    const checkpoints = new CompressionCheckpoints(context.checkpoint, folder, of);
    const done = await checkpoints.load();
    const started = performance.now();
    const { layers } = model.architecture;
    let made: Compressed;
    if (changesNothing(plan)) {
      made = unchanged(model.folder.path, folder, model.folder.bytes);
    } else {
      made = await compressModel(model.folder, plan, calibration, heldOut, {
        folder,
        threads: configuration.threads,
        done,
        onBlock(block, blocks) {
          checkpoints.add(block);
          const seconds = (performance.now() - started) / 1000;
          const rate = seconds / (blocks - done.length);
          const metrics = { blocks, of: layers, tokens_per_s: tokens / rate, seconds_left: rate * (layers - blocks) };
          context.progress({ fraction: (0.95 * blocks) / layers, stage: 'compressing', metrics });
        },
      });
      copyFiles(model.folder.path, folder, KEPT_FILES);
    }
    const compressed = await loadModel(folder, { device: opened.provider, scratch: context.scratch });
    const { loss } = await crossEntropy(compressed, heldOut);
    await compressed.release();
    const totals = totalsOf(made.blocks, model.folder.bytes, made.bytes);
    const { model: _reference, ...rest } = params;
    const manifest = await publishFolder(context, folder, {
      method: contract.type,
      params: rest,
      seed: params.seed,
      model: opened.id,
      data_digest: corpus.digest,
      body: { parent: { digest: opened.digest, revision: opened.revision }, ...totals, loss, dense_loss: dense.loss },
    });
    const measured = { ...totals, loss, dense_loss: dense.loss, tokens, notices: made.notices };
    const body = { compression: { ...plan, linears: [...linears] }, ...measured, blocks: made.blocks };
    const report = await publishReport(
      context,
      { kind: 'model_compression', body, plots: compressionPlots(made.blocks, method) },
      { method: contract.type, params, model: opened, seed: params.seed, dataDigest: corpus.digest, body: measured },
    );
    return {
      result: {
        model: await manifestId(manifest),
        report: await manifestId(report),
        ...measured,
        data_digest: corpus.digest,
      },
      published: [manifest, report],
      metrics: { blocks_resumed: done.length },
      run: { device: 'cpu', dtype: 'float32', seed: params.seed, tolerance: null },
    };
  } finally {
    await model.release();
  }
});

const sizes = ({ tokens, held_out_tokens, context }: { tokens: number; held_out_tokens: number; context: number }) => ({
  tokens,
  held_out_tokens,
  context,
});

/** Share 0, or 16 bits: the model as it is. */
function unchanged(from: string, folder: string, bytes: number): Compressed {
  cpSync(from, folder, { recursive: true });
  return { blocks: [], bytes, notices: ['nothing was asked for: the model is as it was'] };
}

function totalsOf(blocks: readonly BlockReport[], denseBytes: number, bytes: number) {
  const matrices = blocks.flatMap((block) => block.matrices);
  const weights = matrices.reduce((sum, matrix) => sum + matrix.dense_bytes / 4, 0);
  const mean = (of: (matrix: (typeof matrices)[number]) => number) =>
    weights === 0 ? 0 : matrices.reduce((sum, matrix) => sum + (of(matrix) * matrix.dense_bytes) / 4, 0) / weights;
  const worst = [...matrices].sort((a, b) => b.relative_error - a.relative_error)[0] ?? null;
  return {
    matrices: matrices.length,
    sparsity: mean(({ sparsity }) => sparsity),
    bits: weights === 0 ? 32 : mean((matrix) => matrix.bits),
    bytes,
    dense_bytes: denseBytes,
    worst,
  };
}
