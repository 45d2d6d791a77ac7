/** Handler of `sae.encode`. */

import type { ResultOf } from '../../shared/jobs/contract.ts';
import contract from '../../shared/jobs/sae.encode.ts';
import { activations, tokenText } from '../lm/index.ts';
import { Encoder, encodeActivations, reconstruct, tokenCodes } from '../sae/index.ts';
import { handle } from './handler.ts';
import { openCorpus, sequencesPerPass } from './inputs/corpus-input.ts';
import { openModel } from './inputs/model-input.ts';
import { openSae } from './outputs/sae-artefact.ts';

type EncodedText = ResultOf<typeof contract>['texts'][number];

export default handle(contract, async (context) => {
  const { params, configuration } = context;
  const opened = await openModel(context, params.model);
  const { model } = opened;
  const encoder = new Encoder({ threads: configuration.threads, spinning: false });
  try {
    const { sae, hook, mismatch } = await openSae(context, params.sae, opened, {
      allowMismatch: params.allow_mismatch,
    });
    const { inputs } = sae.parameters;
    const corpus = await openCorpus(context, { texts: params.texts }, model, opened.digest);
    const length = Math.min(params.context, model.architecture.context);
    const { packing, strongest } = params;
    const reading = corpus.read({ split: 'all', packing, length, limit: Number.POSITIVE_INFINITY, as: 'rows' });
    const text = tokenText(model);
    const texts: EncodedText[] = params.texts.map((_, document) => ({ document, tokens: [] }));
    for await (const block of activations(model, reading, { hooks: [hook], batch: sequencesPerPass(length) })) {
      const x = block.values[hook] ?? new Float32Array();
      const codes = await encodeActivations(sae, x, encoder);
      const of = { x, hat: reconstruct(sae, codes), inputs, strongest };
      let last = 0;
      for (const [row, id] of block.tokens.entries()) {
        last = block.documents[row] ?? 0;
        texts[last]?.tokens.push({
          id,
          position: block.places[row] ?? 0,
          text: text(id),
          ...tokenCodes(codes, row, of),
        });
      }
      context.progress({ fraction: (last + 1) / texts.length, stage: 'encoding', metrics: { texts: last + 1 } });
    }
    return {
      result: { texts, text: await reading.account(), mismatch },
      published: [],
      metrics: {},
      run: { device: opened.provider, dtype: 'float32', seed: null, tolerance: null },
    };
  } finally {
    await encoder.release();
    await model.release();
  }
});
