/** A small language model of the generated language, trained for a test. */
import { PlantedLanguage } from '../../gpu-worker/lm/corpus/planted/language.ts';
import { trainLanguageModel } from '../../gpu-worker/lm/training/train.ts';

/** Trains for some seconds and saves a folder in Hugging Face layout. */
export async function savePlantedModel(folder: string, { steps = 120, context = 24, width = 32 } = {}): Promise<void> {
  const language = new PlantedLanguage(0);
  const config = {
    model_type: 'llama',
    architectures: ['LlamaForCausalLM'],
    hidden_size: width,
    intermediate_size: 2 * width,
    num_hidden_layers: 2,
    num_attention_heads: 4,
    num_key_value_heads: 4,
    vocab_size: language.vocabulary.length,
    max_position_embeddings: 64,
    rms_norm_eps: 1e-5,
    rope_theta: 10_000,
    hidden_act: 'silu',
    tie_word_embeddings: true,
    bos_token_id: 0,
    eos_token_id: 1,
    torch_dtype: 'float32',
  };
  const sequences = function* () {
    for (const { ids } of language.documents('train', context + 1)) {
      yield { ids };
    }
  };
  const trained = await trainLanguageModel({
    from: { config },
    sequences: sequences(),
    context,
    batch: 32,
    steps,
    learningRate: 5e-3,
    seed: 0,
  });
  await trained.save(folder, { tokenizer: language.tokenizer() });
}
