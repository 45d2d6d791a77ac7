/** Handler of `lm.train`: trains a Llama-style model from scratch and publishes it as a Hugging Face folder. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { SextantError } from '../../shared/contracts/problem.ts';
import type { Blob, Manifest } from '../../shared/contracts/thing.ts';
import type { ParamsOf } from '../../shared/jobs/contract.ts';
import contract from '../../shared/jobs/lm.train.ts';
import { canonicalJson, manifestId, sha256Hex } from '../../shared/signing/digest.ts';
import { crossEntropy } from '../lm/evaluate.ts';
import { loadModel } from '../lm/model.ts';
import { PlantedLanguage } from '../lm/planted/language.ts';
import { type TrainedModel, trainLanguageModel } from '../lm/train.ts';
import { chooseProvider } from '../runtime/index.ts';
import { handle, type JobContext } from './handler.ts';

type Params = ParamsOf<typeof contract>;

/** Documents of the held-out split on which the loss is measured. */
const HELD_OUT_DOCUMENTS = 1024;

export default handle(contract, async (context) => {
  const { params, configuration } = context;
  const { provider } = await chooseProvider(configuration.device);
  const { corpus } = params;
  if (!('planted' in corpus)) {
    throw new SextantError('data_invalid', '/corpus: training from scratch reads the generated language (planted)');
  }
  const language = new PlantedLanguage(corpus.planted.seed);
  const length = params.context + 1;
  const data_digest = await sha256Hex(
    canonicalJson({ planted: corpus.planted, length, vocabulary: language.vocabulary }),
  );
  const trained = await trainLanguageModel({
    from: { config: configOf(params, language.vocabulary.length) },
    sequences: language.documents('train', length),
    context: params.context,
    batch: params.batch,
    steps: params.steps,
    learningRate: params.learning_rate,
    seed: params.seed,
    device: provider,
    threads: configuration.threads,
    progress: ({ step, steps, loss, tokensPerSecond, secondsLeft }) =>
      context.progress({
        fraction: (0.97 * step) / steps,
        stage: 'training',
        metrics: { loss, tokens_per_s: tokensPerSecond, seconds_left: secondsLeft },
      }),
  });
  requireFinite(trained);
  const folder = join(context.scratch, 'model');
  trained.save(folder, { tokenizer: language.tokenizer() });
  const held = [...language.documents('held-out', length, HELD_OUT_DOCUMENTS)];
  const model = await loadModel(folder, { device: provider, threads: configuration.threads });
  const { loss } = await crossEntropy(
    model,
    held.map(({ ids }) => ids),
    { batch: 32 },
  );
  await model.release();
  const ideal = held.reduce((sum, document) => sum + language.surprisal(document), 0) / held.length;
  const parameters = held.length > 0 ? countParameters(trained) : 0;
  const manifest = await publish(context, folder, { loss, parameters, data_digest });
  return {
    result: {
      model: await manifestId(manifest),
      parameters,
      held_out_loss: loss,
      entropy_rate: language.entropyRate(length),
      ideal_loss: ideal,
      tokens: trained.tokens,
      data_digest,
    },
    things: [manifest],
    metrics: { tokens_per_s: trained.tokens / trained.seconds },
    run: { device: trained.device, dtype: 'float32', seed: params.seed, tolerance: null },
  };
});
