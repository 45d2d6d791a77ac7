/** What `sae.train` learns from: the activations of a model over a text, or files of them. */
import type { FileRows } from '../../../shared/contracts/activation-files.ts';
import { SextantError } from '../../../shared/contracts/problem.ts';
import type { TextAccount } from '../../../shared/contracts/text-use.ts';
import type { ParamsOf } from '../../../shared/jobs/contract.ts';
import type contract from '../../../shared/jobs/sae.train.ts';
import type { LanguageModel } from '../../lm/index.ts';
import { chooseProvider, type Provider } from '../../runtime/index.ts';
import {
  type ActivationSource,
  fileSource,
  type HeldOut,
  heldOutActivations,
  trainingSource,
} from '../../sae/index.ts';
import type { JobContext } from '../handler.ts';
import { openActivations, type RowsOrigin } from './activation-files.ts';
import { openCorpus, sequencesPerPass } from './corpus-input.ts';
import { openModel } from './model-input.ts';

type TrainingRows = {
  /** Null for files. */
  model: LanguageModel | null;
  origin: RowsOrigin;
  /** Of the text, or of the files. */
  digest: string;
  provider: Provider;
  source: ActivationSource;
  heldOut(): Promise<HeldOut>;
  /** The accounts of the text, of the side that is trained on and of the other, and of the rows of files; null for the other. */
  text(): Promise<TextAccount | null>;
  heldOutText(): Promise<TextAccount | null>;
  rows: FileRows | null;
  release(): Promise<void>;
};
type Context = JobContext<ParamsOf<typeof contract>>;

/** @throws SextantError as `openModel`, `openCorpus` and `openActivations`; `hook_unknown` */
export const openTrainingRows = (context: Context): Promise<TrainingRows> =>
  context.params.activations ? openFiles(context, context.params.activations) : openText(context);

async function openText(context: Context): Promise<TrainingRows> {
  const { params } = context;
  const { hook, batch, seed, model: reference, corpus: source } = params;
  if (!reference || !source || hook === null) {
    throw new SextantError('validation_failed', 'give model, hook and corpus, or activations in their place');
  }
  const { model, provider, id, digest } = await openModel(context, reference);
  try {
    const corpus = await openCorpus(context, source, model, digest);
    const length = Math.min(params.context, model.architecture.context);
    const pass = sequencesPerPass(length);
    const sequences = () => corpus.sequences('train', length);
    return {
      model,
      origin: { id, digest, hook },
      digest: corpus.digest,
      provider,
      source: trainingSource({ model, hook, sequences, length, pass, batch, seed, normCap: params.norm_cap }),
      heldOut: () =>
        heldOutActivations(model, hook, corpus.sequences('held-out', length), {
          tokens: params.evaluation_tokens,
          pass,
        }),
      text: () => corpus.account({ side: 'train', length, limit: params.steps * batch, as: 'rows' }),
      heldOutText: () => corpus.account({ side: 'held-out', length, limit: params.evaluation_tokens, as: 'rows' }),
      rows: null,
      release: () => model.release(),
    };
  } catch (error) {
    await model.release();
    throw error;
  }
}

async function openFiles(
  context: Context,
  given: NonNullable<Context['params']['activations']>,
): Promise<TrainingRows> {
  const { batch, seed, norm_cap: normCap, evaluation_tokens: held, steps } = context.params;
  const { files, count, digest, origin } = await openActivations(context, given);
  const { provider } = await chooseProvider(context.configuration.device);
  const { source, blocks } = fileSource(files, { batch, seed, normCap, held });
  const trained = Math.min(blocks.trainedRows, steps * batch);
  const out = { held_out: files.rows - blocks.trainedRows, limit: blocks.trainedRows - trained };
  return {
    model: null,
    origin,
    digest,
    provider,
    source,
    heldOut: async () => blocks.heldOut(),
    text: async () => null,
    heldOutText: async () => null,
    rows: {
      files: count,
      sent: files.rows,
      used: trained,
      left_out: Object.fromEntries(Object.entries(out).filter(([, rows]) => rows > 0)),
    },
    release: async () => undefined,
  };
}
