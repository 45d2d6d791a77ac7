/** Handler of `lm.train`: trains a Llama-style model from scratch and publishes it as a Hugging Face folder. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Blob, Manifest } from '../../shared/contracts/thing.ts';
import type { ParamsOf } from '../../shared/jobs/contract.ts';
import contract from '../../shared/jobs/lm.train.ts';
import { describe } from '../../shared/models/describe.ts';
import { canonicalJson, manifestId, sha256Hex } from '../../shared/signing/digest.ts';
import { crossEntropy } from '../lm/evaluate.ts';
import { loadModel } from '../lm/model.ts';
import { PlantedLanguage } from '../lm/planted/language.ts';
import { trainLanguageModel } from '../lm/train.ts';
import { chooseProvider } from '../runtime/index.ts';
import { handle, type JobContext } from './handler.ts';
import { decidesComputation } from './model-input.ts';

type Params = ParamsOf<typeof contract>;

/** Documents of the held-out split on which the loss is measured. */
const HELD_OUT_DOCUMENTS = 1024;

export default handle(contract, async (context) => {
  const { params, configuration } = context;
  const { provider } = await chooseProvider(configuration.device);
  const language = new PlantedLanguage(params.corpus.planted.seed);
  const length = params.context + 1;
  const data_digest = await sha256Hex(canonicalJson({ ...params.corpus, length, vocabulary: language.vocabulary }));
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
  const folder = join(context.scratch, 'model');
  trained.save(folder, { tokenizer: language.tokenizer() });
  const held = [...language.documents('held-out', length, HELD_OUT_DOCUMENTS)];
  const model = await loadModel(folder, { device: provider, threads: configuration.threads });
  const { loss } = await crossEntropy(
    model,
    held.map(({ ids }) => ids),
    { batch: 32 },
  );
  const { parameters } = describe(model.folder.config);
  await model.release();
  const ideal = held.reduce((sum, document) => sum + language.surprisal(document), 0) / held.length;
  const manifest = await publish(context, folder, data_digest, { held_out_loss: loss, ideal_loss: ideal, parameters });
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

const configOf = (params: Params, vocabulary: number): Record<string, unknown> => ({
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  vocab_size: vocabulary,
  hidden_size: params.width,
  intermediate_size: params.mlp_width,
  num_hidden_layers: params.layers,
  num_attention_heads: params.heads,
  num_key_value_heads: params.heads,
  // Rotary positions reach further than the training text, so that longer prompts are not refused.
  max_position_embeddings: 4 * params.context,
  rms_norm_eps: 1e-5,
  rope_theta: 10_000,
  hidden_act: 'silu',
  tie_word_embeddings: true,
  bos_token_id: 0,
  eos_token_id: 1,
});

/** Registers every file of the folder and returns the manifest of the model. */
async function publish(
  context: JobContext<Params>,
  folder: string,
  data_digest: string,
  body: Record<string, unknown>,
): Promise<Manifest> {
  const blobs: Blob[] = [];
  for (const name of readdirSync(folder).sort()) {
    const type = name.endsWith('.json') ? 'application/json' : 'application/octet-stream';
    blobs.push(await context.artefact(name, type, { file: join(folder, name) }));
  }
  const digests = blobs.filter(({ name }) => decidesComputation(name)).map(({ name, sha256 }) => [name, sha256]);
  return {
    kind: 'model',
    schema: 1,
    method: 'lm.train',
    params: context.params,
    seed: context.params.seed,
    model: null,
    model_digest: await sha256Hex(canonicalJson(Object.fromEntries(digests))),
    hook: null,
    data_digest,
    blobs,
    body,
  };
}
