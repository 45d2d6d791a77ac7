/** What a training job starts from: a model to train further, or the config and tokenizer of a new one. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { modelKey } from '../../../shared/contracts/model.ts';
import { paramError, SextantError } from '../../../shared/contracts/problem.ts';
import type { TextAccount } from '../../../shared/contracts/text-use.ts';
import type { ParamsOf } from '../../../shared/jobs/contract.ts';
import contract from '../../../shared/jobs/lm.train.ts';
import {
  byteTokenizer,
  copyFiles,
  KEPT_FILES,
  PlantedLanguage,
  readTokenizer,
  type SavedTokenizer,
  TOKENIZER_FILES,
  type Tokenizer,
  type WeightedSequence,
} from '../../lm/index.ts';
import type { JobContext } from '../handler.ts';
import type { TextReader } from './corpus-input.ts';
import { densely, type OpenedModel, openModel } from './model-input.ts';

export type TrainParams = ParamsOf<typeof contract>;
export type TrainingStart = {
  /** As `trainLanguageModel` takes it. */
  from: { config: Record<string, unknown> } | { folder: string };
  /** Reads the corpus; the loaded model itself where there is one. */
  reader: TextReader;
  tokenizer: 'words' | 'bytes' | 'model';
  /** The model that is trained further; whoever takes it releases it. */
  parent: OpenedModel | null;
  /** Most tokens in a sequence of this job, the first of which predicts only. */
  length: number;
  /** Fields that the saved config has beyond the architecture's own. */
  config: Record<string, unknown>;
  /** Puts the tokenizer's files into the folder of the trained model. */
  finish(folder: string): void;
};

/** What a training job reads. */
export type TrainingText = {
  digest: string;
  unseen: boolean;
  /** Whether some tokens count less than others. */
  weighted: boolean;
  /** Never ends; of `start.length` tokens each. */
  sequences: AsyncIterable<WeightedSequence>;
  /** What of the text a training of so many tokens has read; null where none is sent, or it has no end. */
  account(tokens: number): Promise<TextAccount | null>;
  /** The same of what is held out. */
  heldOutAccount(): Promise<TextAccount | null>;
  /** The same at every call. */
  heldOut(): Promise<WeightedSequence[]>;
};

/** What says how large a new model is. */
const SIZES = ['layers', 'width', 'heads', 'mlp_width'] as const;

/** @throws SextantError as `openModel`; `data_invalid`, `tokenizer_mismatch`, `context_exceeded` */
export async function openTrainingStart(context: JobContext<TrainParams>): Promise<TrainingStart> {
  const { params } = context;
  return params.from ? continuedModel(context, params.from) : newModel(context);
}

async function continuedModel(
  context: JobContext<TrainParams>,
  reference: NonNullable<TrainParams['from']>,
): Promise<TrainingStart> {
  const { params } = context;
  if (params.tokenizer) {
    throw paramError('tokenizer_mismatch', '/tokenizer', 'a model that is trained further keeps its own');
  }
  const defaults = contract.params.parse({});
  const size = SIZES.find((name) => params[name] !== defaults[name]);
  if (size) {
    throw paramError('data_invalid', `/${size}`, 'a model that is trained further has sizes of its own; leave it out');
  }
  const parent = await openModel(context, densely(reference));
  const { folder, architecture } = parent.model;
  if (params.context > architecture.context) {
    await parent.model.release();
    const detail = `/context: ${params.context} tokens; the context of ${modelKey(reference)} holds ${architecture.context}`;
    throw new SextantError('context_exceeded', detail);
  }
  const { torch_dtype: _old, dtype: _stored, ...config } = folder.config;
  return {
    from: { folder: folder.path },
    reader: parent.model,
    tokenizer: 'model',
    parent,
    length: params.context + 1,
    config: { ...config, torch_dtype: 'float32' },
    finish: (to) => copyFiles(folder.path, to, KEPT_FILES),
  };
}

async function newModel(context: JobContext<TrainParams>): Promise<TrainingStart> {
  const { params } = context;
  const found = await tokenizerOf(context);
  const { tokenizer } = found;
  return {
    from: { config: configOf(params, tokenizer) },
    reader: { tokenizer, architecture: { vocabulary: tokenizer.size } },
    tokenizer: found.kind,
    parent: null,
    length: params.context + 1,
    config: tokenIds(tokenizer),
    finish: found.finish,
  };
}

type FoundTokenizer = Pick<TrainingStart, 'finish'> & { kind: TrainingStart['tokenizer']; tokenizer: Tokenizer };

async function tokenizerOf(context: JobContext<TrainParams>): Promise<FoundTokenizer> {
  const { corpus, tokenizer: reference } = context.params;
  if (!reference) {
    const own = 'planted' in corpus;
    const saved = own ? new PlantedLanguage(corpus.planted.seed).tokenizer() : byteTokenizer();
    const folder = join(context.scratch, 'tokenizer');
    writeTokenizer(folder, saved);
    const finish = (to: string) => copyFiles(folder, to, TOKENIZER_FILES);
    return { kind: own ? 'words' : 'bytes', tokenizer: readTokenizer(folder)!, finish };
  }
  if ('planted' in corpus) {
    throw paramError(
      'tokenizer_mismatch',
      '/tokenizer',
      'the generated language comes as words of its own; leave it out, or give a corpus of text',
    );
  }
  const { model } = await openModel(context, reference);
  const { tokenizer, folder } = model;
  await model.release();
  if (!tokenizer) {
    throw paramError('tokenizer_mismatch', '/tokenizer', `${modelKey(reference)} has no tokenizer.json`);
  }
  return { kind: 'model', tokenizer, finish: (to) => copyFiles(folder.path, to, TOKENIZER_FILES) };
}

function writeTokenizer(folder: string, { json, config }: SavedTokenizer): void {
  mkdirSync(folder, { recursive: true });
  const write = (name: string, value: unknown) =>
    writeFileSync(join(folder, name), `${JSON.stringify(value, null, 2)}\n`);
  write('tokenizer.json', json);
  write('tokenizer_config.json', { tokenizer_class: 'PreTrainedTokenizerFast', ...config });
}

const tokenIds = ({ bos, eos }: Tokenizer) => ({
  ...(bos === null ? {} : { bos_token_id: bos }),
  ...(eos === null ? {} : { eos_token_id: eos }),
});

const configOf = (params: TrainParams, tokenizer: Tokenizer): Record<string, unknown> => ({
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  vocab_size: tokenizer.size,
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
  ...tokenIds(tokenizer),
});
