/** Handler of `compression.study`: one autoencoder on the dense model and, in its variants, on every compressed copy. */
import contract from '../../shared/jobs/compression.study.ts';
import type { ResultOf } from '../../shared/jobs/contract.ts';
import { manifestId } from '../../shared/signing/digest.ts';
import {
  CompressionStudy,
  type LatentDrift,
  Products,
  retrainSae,
  statedCopy,
  studyReport,
} from '../compression/index.ts';
import { Encoder, heldOutActivations } from '../sae/index.ts';
import { handle } from './handler.ts';
import { openCorpus, sequencesPerPass } from './inputs/corpus-input.ts';
import { openModel } from './inputs/model-input.ts';
import { encodeLabelled } from './inputs/sae-tasks.ts';
import { openStudySae } from './inputs/study-sae.ts';
import { publishReport } from './outputs/report.ts';

export default handle(contract, async (context) => {
  const { params, configuration } = context;
  const { seed, retrain } = params;
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
    const copies: ResultOf<typeof contract>['copies'] = [];
    const drifts: { label: string; drift: LatentDrift }[] = [];
    for (const [i, { label, model: copy }] of params.copies.entries()) {
      const { model, provider } = await openModel(context, copy);
      try {
        const training = { hook, params: trained, sequences, length, pass, seed, threads, provider };
        const again =
          retrain &&
          (() =>
            retrainSae(model, sae, {
              ...training,
              asked: retrain,
              progress: (share) => progress(i + 0.8 * share, 'retraining'),
            }));
        const found = await study.copy(model, again, `/copies/${i}`);
        copies.push(statedCopy(label, found));
        drifts.push({ label, drift: found.drift });
      } finally {
        await model.release();
      }
      progress(i + 1, 'studying');
    }
    const measured = { hook, dense: reference, copies, tokens: study.tokens, data_digest: corpus.digest };
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
      metrics: {},
      run: { device: dense.provider, dtype: 'float32', seed, tolerance: null },
    };
  } finally {
    await products.release();
    await encoder.release();
    await dense.model.release();
  }
});
