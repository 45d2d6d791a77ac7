/** Handler of `model.compare`: two models on the same held-out text. */
import contract from '../../shared/jobs/model.compare.ts';
import { manifestId } from '../../shared/signing/digest.ts';
import { compareModels, layerErrorPlot, requireOneShape } from '../compression/index.ts';
import { handle } from './handler.ts';
import { openCorpus } from './inputs/corpus-input.ts';
import { densely, openModel } from './inputs/model-input.ts';
import { predictedSequences } from './inputs/sequence-sets.ts';
import { publishReport } from './outputs/report.ts';

export default handle(contract, async (context) => {
  const { params, configuration } = context;
  const opened = await openModel(context, densely(params.model));
  const other = await openModel(context, densely(params.other));
  try {
    requireOneShape(opened.model, other.model, '/other');
    const corpus = await openCorpus(context, params.corpus, opened.model, opened.digest);
    const { split, packing, tokens: limit } = params;
    const length = Math.min(params.context, opened.model.architecture.context);
    const { sequences, text } = await predictedSequences(corpus, { split, packing, length, limit });
    const tokens = sequences.reduce((sum, ids) => sum + ids.length, 0);
    const { matrices, ...found } = await compareModels(opened.model, other.model, sequences, {
      seed: params.seed,
      threads: configuration.threads,
      progress: (done) =>
        context.progress({
          fraction: (0.8 * done) / tokens,
          stage: 'comparing',
          metrics: { tokens: done, of: tokens },
        }),
    });
    const measured = { ...found, matrices: matrices.length, tokens, text, data_digest: corpus.digest };
    const layers = found.layers.map(({ relative_error, ...rest }) => ({ ...rest, stream_error: relative_error }));
    const { other: _other, ...rest } = params;
    const report = await publishReport(
      context,
      {
        kind: 'model_comparison',
        body: { ...measured, matrices, models: { model: opened.digest, other: other.digest } },
        plots: [layerErrorPlot(layers, 'Error of the stream by layer')],
      },
      {
        method: contract.type,
        params: rest,
        model: opened,
        seed: params.seed,
        dataDigest: corpus.digest,
        body: { ...measured, other: other.digest },
      },
    );
    return {
      result: { report: await manifestId(report), ...measured },
      published: [report],
      metrics: {},
      run: { device: opened.provider, dtype: 'float32', seed: params.seed, tolerance: null },
    };
  } finally {
    await other.model.release();
    await opened.model.release();
  }
});
