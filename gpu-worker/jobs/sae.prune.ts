/** Handler of `sae.prune`: norms over calibration tokens once, then every share from the autoencoder's own weights. */
import type { Manifest } from '../../shared/contracts/manifest.ts';
import type { ResultOf } from '../../shared/jobs/contract.ts';
import contract from '../../shared/jobs/sae.prune.ts';
import { manifestId } from '../../shared/signing/digest.ts';
import { nonzeros, Products, prunedSae, SaeNormSums } from '../compression/index.ts';
import { Encoder, heldOutActivations, measure } from '../sae/index.ts';
import { handle } from './handler.ts';
import { openCorpus, sequencesPerPass } from './inputs/corpus-input.ts';
import { openModel } from './inputs/model-input.ts';
import { openSae, publishSae } from './outputs/sae-artefact.ts';

/** Rows of one block of norms. */
const BLOCK_ROWS = 4096;

export default handle(contract, async (context) => {
  const { params, configuration } = context;
  const opened = await openModel(context, params.model);
  const { model } = opened;
  const threads = { threads: configuration.threads };
  const encoder = new Encoder({ ...threads, spinning: false });
  const products = new Products(threads);
  try {
    const { sae, manifest, mismatch } = await openSae(context, params.sae, opened, {
      ...(params.hook && { hook: params.hook }),
      allowMismatch: params.allow_mismatch,
    });
    const hook = params.hook ?? manifest.hook!;
    const corpus = await openCorpus(context, params.corpus, model, opened.digest);
    const length = Math.min(params.context, model.architecture.context);
    const { split, packing, tokens: limit } = params;
    const reading = corpus.read({ split, packing, length, limit, as: 'rows' });
    const { x } = await heldOutActivations(model, hook, reading, {
      tokens: params.tokens,
      pass: sequencesPerPass(length),
    });
    const { inputs } = sae.parameters;
    const sums = new SaeNormSums(sae);
    for (let from = 0; from < x.length; from += BLOCK_ROWS * inputs) {
      await sums.add(x.subarray(from, from + BLOCK_ROWS * inputs), encoder, products);
    }
    const norms = sums.norms();
    const before = (await measure(sae, x, encoder)).measures;
    const { model: _reference, ...rest } = params;
    const scale = manifest.body.input_scale;
    const published: Manifest[] = [];
    const saes: ResultOf<typeof contract>['saes'] = [];
    for (const [index, share] of params.shares.entries()) {
      const pruned = prunedSae(sae, share, params.rule, norms, params.matrices);
      const { measures } = await measure(pruned, x, encoder);
      const found = {
        share,
        encoder_nonzeros: nonzeros(pruned.parameters.encoder),
        decoder_nonzeros: nonzeros(pruned.parameters.decoder),
        fvu: measures.fvu,
        l0: measures.l0,
      };
      const made = await publishSae(context, pruned, {
        index,
        model: opened,
        hook,
        scale: typeof scale === 'number' ? scale : 1,
        dataDigest: corpus.digest,
        seed: params.seed,
        params: { ...rest, shares: [share], mismatch },
        measures: found,
        dashboards: null,
      });
      published.push(made);
      saes.push({ sae: await manifestId(made), ...found });
      const fraction = (index + 1) / params.shares.length;
      context.progress({ fraction, stage: 'pruning', metrics: { saes: index + 1 } });
    }
    return {
      result: {
        saes,
        unpruned: { fvu: before.fvu, l0: before.l0 },
        tokens: x.length / inputs,
        text: await reading.account(),
        data_digest: corpus.digest,
      },
      published,
      metrics: {},
      run: { device: opened.provider, dtype: 'float32', seed: params.seed, tolerance: null },
    };
  } finally {
    await products.release();
    await model.release();
  }
});
