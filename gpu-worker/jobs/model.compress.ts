/**
 * Handler of `model.compress`: block by block on the stream of the compressed blocks. Finished blocks are published, so that
 * another worker goes on at the block where one died, to the same bytes.
 */
import contract from '../../shared/jobs/model.compress.ts';
import { manifestId } from '../../shared/signing/digest.ts';
import {
  compressFolder,
  compressionPlots,
  planOf,
  requirePlan,
  selectedLinears,
  statedTotals,
} from '../compression/index.ts';
import { blockwiseLoss, readFolder } from '../lm/index.ts';
import { openCompression } from './checkpoints/compression-checkpoint.ts';
import { handle } from './handler.ts';
import { openCorpus } from './inputs/corpus-input.ts';
import { densely, openModel } from './inputs/model-input.ts';
import { wholeSequences } from './inputs/sequence-sets.ts';
import { publishFolder } from './outputs/model-artefact.ts';
import { publishReport } from './outputs/report.ts';

export default handle(contract, async (context) => {
  const { params, configuration } = context;
  const { method, seed } = params;
  const plan = planOf(params);
  const opened = await openModel(context, densely(params.model));
  const { model } = opened;
  try {
    const { layers } = model.architecture;
    requirePlan(plan, layers, selectedLinears(model.folder, plan));
    const corpus = await openCorpus(context, params.corpus, model, opened.digest);
    const read = (split: 'train' | 'held-out', tokens: number, pointer: string) =>
      wholeSequences(corpus, split, model, { context: params.context, tokens, pointer });
    const { sequences: calibration, text } = await read('train', params.tokens, '/tokens');
    const held = await read('held-out', params.held_out_tokens, '/held_out_tokens');
    const heldOut = held.sequences;
    const tokens = calibration.reduce((sum, ids) => sum + ids.length, 0);
    const { threads } = configuration;
    const dense_loss = await blockwiseLoss(model.folder, heldOut, { threads });
    const { checkpoints, folder, done } = await openCompression(context, plan, opened.digest, corpus.digest);
    const started = performance.now();
    const made = await compressFolder(
      model.folder,
      plan,
      { calibration, heldOut },
      {
        folder,
        threads,
        done,
        onBlock(block, blocks) {
          checkpoints.add(block);
          const rate = (performance.now() - started) / 1000 / (blocks - done.length);
          const metrics = { blocks, of: layers, tokens_per_s: tokens / rate, seconds_left: rate * (layers - blocks) };
          context.progress({ fraction: (0.95 * blocks) / layers, stage: 'compressing', metrics });
        },
      },
    );
    // Read back as anybody else would read it.
    const loss = await blockwiseLoss(readFolder(folder, { scratch: context.scratch }), heldOut, { threads });
    const figures = { ...statedTotals(made.blocks, model.folder.bytes, made.bytes), loss, dense_loss };
    const { model: _reference, ...rest } = params;
    const manifest = await publishFolder(context, folder, {
      method: contract.type,
      params: rest,
      seed,
      model: opened.id,
      data_digest: corpus.digest,
      body: { parent: { digest: opened.digest, revision: opened.revision }, ...figures },
    });
    const measured = { ...figures, tokens, text, held_out_text: held.text, notices: made.notices };
    const body = { compression: { ...plan, linears: [...plan.linears] }, ...measured, blocks: made.blocks };
    const report = await publishReport(
      context,
      { kind: 'model_compression', body, plots: compressionPlots(made.blocks, method) },
      { method: contract.type, params, model: opened, seed, dataDigest: corpus.digest, body: measured },
    );
    const ids = { model: await manifestId(manifest), report: await manifestId(report) };
    return {
      result: { ...ids, ...measured, data_digest: corpus.digest },
      published: [manifest, report],
      metrics: { blocks_resumed: done.length },
      run: { device: 'cpu', dtype: 'float32', seed, tolerance: null },
    };
  } finally {
    await model.release();
  }
});
