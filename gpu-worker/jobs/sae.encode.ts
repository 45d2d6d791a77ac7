/** Handler of `sae.encode`. */
import contract from '../../shared/jobs/sae.encode.ts';
import { requireFinite, tokenText } from '../lm/index.ts';
import { Encoder, encodeActivations, reconstruct } from '../sae/index.ts';
import { handle } from './handler.ts';
import { openModel } from './inputs/model-input.ts';
import { encodeTexts } from './inputs/tokens.ts';
import { openSae } from './outputs/sae-artefact.ts';

export default handle(contract, async (context) => {
  const { params, configuration } = context;
  const opened = await openModel(context, params.model);
  const { model } = opened;
  const encoder = new Encoder({ threads: configuration.threads, spinning: false });
  try {
    const { sae, manifest, mismatch } = await openSae(context, params.sae, opened, {
      allowMismatch: params.allow_mismatch,
    });
    const hook = manifest.hook!;
    const { inputs } = sae.parameters;
    const text = tokenText(model);
    const sequences = encodeTexts(model, params.texts, '/texts');
    const texts = [];
    for (const [i, ids] of sequences.entries()) {
      const { taps } = await model.forward({ ids: [ids], taps: [hook], logits: 'none' });
      const x = taps[hook]!.data;
      requireFinite(x, hook);
      const codes = await encodeActivations(sae, x, encoder);
      const hat = reconstruct(sae, codes);
      texts.push({
        tokens: ids.map((id, row) => {
          const found = [];
          for (let entry = codes.starts[row]!; entry < codes.starts[row + 1]!; entry++) {
            const code = codes.values[entry]!;
            if (code !== 0) {
              found.push({ latent: codes.latents[entry]!, code });
            }
          }
          found.sort((a, b) => Math.abs(b.code) - Math.abs(a.code) || a.latent - b.latent);
          let [error, size] = [0, 0];
          for (let j = row * inputs; j < (row + 1) * inputs; j++) {
            error += (x[j]! - hat[j]!) ** 2;
            size += x[j]! ** 2;
          }
          return { text: text(id), codes: found.slice(0, params.strongest), error: size > 0 ? error / size : 0 };
        }),
      });
      context.progress({ fraction: (i + 1) / sequences.length, stage: 'encoding', metrics: { texts: i + 1 } });
    }
    return {
      result: { texts, mismatch },
      published: [],
      metrics: {},
      run: { device: opened.provider, dtype: 'float32', seed: null, tolerance: null },
    };
  } finally {
    await encoder.release();
    await model.release();
  }
});
