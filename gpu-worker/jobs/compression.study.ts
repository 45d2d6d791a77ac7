/**
 * Handler of `compression.study`: one autoencoder on the dense model and, in its variants, on every compressed copy. Copies that
 * are done with are published, so that another worker goes on at the next.
 */
import contract from '../../shared/jobs/compression.study.ts';
import { canonicalJson, manifestId, sha256Hex } from '../../shared/signing/digest.ts';
import { CompressionStudy, Products, retrainingRows, studyReport } from '../compression/index.ts';
import { Encoder, heldOutActivations } from '../sae/index.ts';
import { StudiedCopies } from './checkpoints/studied-copies.ts';
import { handle } from './handler.ts';
import { studyCopies } from './inputs/compressed-copies.ts';
import { openCorpus, sequencesPerPass } from './inputs/corpus-input.ts';
import { openModel } from './inputs/model-input.ts';
import { encodeLabelled } from './inputs/sae-tasks.ts';
import { openStudySae } from './inputs/study-sae.ts';
import { publishReport } from './outputs/report.ts';

export default handle(contract, async (context) => {
  const { params, configuration } = context;
  const { seed } = params;
  const { threads } = configuration;
  const dense = await openModel(context, params.model);
  const encoder = new Encoder({ threads, spinning: false });
  const products = new Products({ threads });
  try {
    const { sae, hook, digest, params: trained } = await openStudySae(context, dense);
    const corpus = await openCorpus(context, params.corpus, dense.model, dense.digest);
    const length = Math.min(params.context, dense.model.architecture.context);
    const pass = sequencesPerPass(length);
    const sequences = () => corpus.sequences('train', length);
    const of = params.copies.length;
    const progress = (done: number, stage: string) =>
      context.progress({ fraction: (0.95 * done) / of, stage, metrics: { copies: Math.floor(done), of } });
    const study = await CompressionStudy.open(dense.model, {
      sae,
      hook,
      read: (model) =>
        heldOutActivations(model, hook, corpus.sequences('held-out', length), { tokens: params.tokens, pass }),
      labelled: (model) => encodeLabelled(model, params.labelled),
      lossSequences: params.loss_sequences,
      rule: params.rule,
      shares: params.shares,
      allowUnmatched: params.allow_unmatched,
      seed,
      encoder,
      products,
    });
    const reference = await study.reference();
    const inputs = { params, model: dense.digest, corpus: corpus.digest };
    const finished = await StudiedCopies.open(context.checkpoint, await sha256Hex(canonicalJson(inputs)));
    const training = { hook, params: trained, sequences, length, pass, seed, threads };
    const resumed = await studyCopies(context, { study, sae, training }, finished, progress);
    const copies = finished.done.map(({ stated }) => stated);
    const drifts = finished.done.map(({ stated: { label }, drift }) => ({ label, drift }));
    const learnt = params.retrain ? retrainingRows(sae, { params: trained, asked: params.retrain }) : null;
    const measured = {
      hook,
      dense: reference,
      copies,
      tokens: study.tokens,
      text: await corpus.account({ side: 'held-out', length, limit: params.tokens, as: 'rows' }),
      retraining_text:
        learnt === null ? null : await corpus.account({ side: 'train', length, limit: learnt, as: 'rows' }),
      data_digest: corpus.digest,
    };
    const { copies: _copies, sae: _sae, ...rest } = params;
    const report = await publishReport(context, studyReport(measured, drifts), {
      method: contract.type,
      params: rest,
      model: dense,
      seed,
      hook,
      dataDigest: corpus.digest,
      body: { sae: digest, copies: copies.map(({ label, survival }) => ({ label, survival })) },
    });
    return {
      result: { report: await manifestId(report), ...measured },
      published: [report],
      metrics: { copies_resumed: resumed },
      run: { device: dense.provider, dtype: 'float32', seed, tolerance: null },
    };
  } finally {
    await products.release();
    await encoder.release();
    await dense.model.release();
  }
});
