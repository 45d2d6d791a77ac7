/** What a block-sparse job learns: rows of a table or images into classes, split; or the text of a language model. */
import { readFile } from 'node:fs/promises';
import { SextantError } from '../../../shared/contracts/problem.ts';
import type { TextAccount } from '../../../shared/contracts/text-use.ts';
import { encodeTable, featureCount, learnInputs } from '../../../shared/fairness/predictors/encode.ts';
import { columnOf, columnTexts } from '../../../shared/formats/table.ts';
import type contract from '../../../shared/jobs/block_sparse.train.ts';
import type { ParamsOf } from '../../../shared/jobs/contract.ts';
import { canonicalJson, sha256Hex } from '../../../shared/signing/digest.ts';
import type { ImageSize } from '../../block-sparse/networks/network.ts';
import { type ImageSet, idxImages, requireClasses, tensorImages } from '../../block-sparse/training/image-sets.ts';
import { blockLinears, languageSubject, matchingLinears } from '../../block-sparse/training/language.ts';
import type { ModelSpec } from '../../block-sparse/training/model.ts';
import { type Samples, splitSamples, takeSamples } from '../../block-sparse/training/samples.ts';
import { networkSubject, type Subject } from '../../block-sparse/training/subject.ts';
import { completeRows, openTable, takeRows } from '../../fairness/table-input.ts';
import { crossEntropy } from '../../lm/index.ts';
import type { JobContext } from '../handler.ts';
import { openCorpus } from './corpus-input.ts';
import { type OpenedModel, openModel } from './model-input.ts';

export type SparseParams = ParamsOf<typeof contract>;
/** A language model has the one that is fine-tuned as its parent. */
export type OpenedSubject = (
  | { task: 'table' | 'image'; parent: null; text: null; heldOutText: null }
  | { task: 'language'; parent: OpenedModel; text: TextAccount; heldOutText: TextAccount }
) & {
  subject: Subject;
  digest: string;
  /** How the stored model is to be read: its network, and what its inputs and classes are. */
  description: Record<string, unknown>;
};
type Context = JobContext<SparseParams>;

/** @throws SextantError `data_invalid`, `input_not_found`, `memory_exceeded`, `validation_failed`, `not_finite`, and as `openModel` */
export const openSubject = (context: Context): Promise<OpenedSubject> =>
  context.params.task.kind === 'lm' ? openLanguage(context, context.params.task) : openNetwork(context);

/** Sequences that are kept in memory at most, of training text and of each held-out part. */
const [TRAIN_SEQUENCES, HELD_SEQUENCES] = [8192, 256];

async function openLanguage(
  context: Context,
  { model: reference, corpus: source, layers, context: length }: Extract<SparseParams['task'], { kind: 'lm' }>,
): Promise<OpenedSubject> {
  const { batch, steps, debias_steps } = context.params;
  const parent = await openModel(context, reference);
  const { model } = parent;
  try {
    const { weights } = model.folder;
    if (matchingLinears(weights, layers).length === 0) {
      const names = blockLinears(weights).slice(0, 8);
      throw new SextantError(
        'validation_failed',
        `/task/layers: no layer matches ${layers.join(', ')}; there are ${names.map(({ name }) => `${name}.weight`).join(', ')}, ...`,
      );
    }
    if (length > model.architecture.context) {
      const detail = `/task/context: ${length} tokens; the model's context holds ${model.architecture.context}`;
      throw new SextantError('context_exceeded', detail);
    }
    const corpus = await openCorpus(context, source, model, parent.digest);
    const take = async (side: 'train' | 'held-out', most: number) => {
      const { sequences, text } = await corpus.whole(side, length + 1, most);
      return { sequences: sequences.map((ids) => Uint32Array.from(ids)), text };
    };
    const { sequences: train, text } = await take('train', Math.min(TRAIN_SEQUENCES, batch * (steps + debias_steps)));
    const { sequences: held, text: heldOutText } = await take('held-out', 2 * HELD_SEQUENCES);
    if (train.length < batch || held.length < 2 * batch) {
      throw new SextantError(
        'data_invalid',
        `the corpus has ${train.length} sequences of ${length + 1} tokens to learn from and ${held.length} held out; a batch of ${batch} needs ${batch} and ${2 * batch}`,
      );
    }
    const data = {
      train,
      validation: held.filter((_, i) => i % 2 === 0),
      test: held.filter((_, i) => i % 2 === 1),
    };
    // A model that gives no numbers is named by where it does not, before anything is trained.
    await crossEntropy(model, data.validation.slice(0, batch));
    return {
      subject: languageSubject(model.folder, data, { patterns: layers, context: length, batch }),
      task: 'language',
      parent,
      text,
      heldOutText,
      digest: corpus.digest,
      description: {},
    };
  } finally {
    await model.release();
  }
}

async function openNetwork(context: Context): Promise<OpenedSubject> {
  const { params } = context;
  const { task, model } = params;
  if (task.kind === 'lm') {
    throw new RangeError('a language model is no network of this job');
  }
  const opened = task.kind === 'table' ? await tableRows(context, task) : await imageRows(context, task);
  const { parts, classes, image, digest, inputs } = opened;
  const [train, validation, test] = parts;
  if (!train || !validation || !test || train.rows < params.batch || validation.rows === 0 || test.rows === 0) {
    throw new SextantError(
      'data_invalid',
      `the split leaves ${parts.map(({ rows }) => rows).join(', ')} rows; a batch needs ${params.batch} rows to learn from, validation and test at least one`,
    );
  }
  if (image) {
    requireImageSize(model, image);
  }
  const spec: ModelSpec = {
    network: model,
    inputs: train.width,
    task: { kind: 'classes', outputs: classes.length },
    ...(image && { image }),
  };
  const description = { network: model, inputs: train.width, image: image ?? null, classes, features: inputs };
  return {
    subject: networkSubject(spec, { train, validation, test }, params.batch),
    task: task.kind === 'table' ? 'table' : 'image',
    parent: null,
    text: null,
    heldOutText: null,
    digest,
    description,
  };
}

type Rows = { parts: Samples[]; classes: readonly string[]; image?: ImageSize; digest: string; inputs: unknown };

const sizesOf = (rows: number, shares: readonly number[]): number[] => {
  const [train = 0, validation = 0] = shares.map((share) => Math.floor(share * rows));
  return [train, validation, rows - train - validation];
};

async function tableRows(
  { params, input }: Context,
  { table: source, label, features }: Extract<SparseParams['task'], { kind: 'table' }>,
): Promise<Rows> {
  const opened = await openTable({ input }, source);
  const table = completeRows(opened.table, [label, ...(features.missing === 'drop' ? features.columns : [])]);
  const texts = columnTexts(columnOf(table, label)).map(String);
  const classes = [...new Set(texts)].sort();
  const y = Float32Array.from(texts, (text) => classes.indexOf(text));
  requireClasses(y);
  // Levels and scales are learned from the training rows alone.
  const [first] = params.seeds;
  const numbers = Float32Array.from({ length: table.rows }, (_, i) => i);
  const order = splitSamples(
    { rows: table.rows, width: 1, x: numbers, y },
    sizesOf(table.rows, params.split),
    first ?? 0,
  );
  const inputs = learnInputs(takeRows(table, order[0]?.x ?? []), features.columns, {
    categorical: features.categorical,
    dropFirst: features.drop_first,
  }).map((encoding) => (encoding.kind === 'category' ? { ...encoding, unknown: 'zeros' as const } : encoding));
  const all: Samples = {
    rows: table.rows,
    width: featureCount(inputs),
    x: Float32Array.from(encodeTable(table, inputs)),
    y,
  };
  return { parts: order.map(({ x }) => takeSamples(all, x)), classes, digest: opened.digest, inputs };
}

async function imageRows(
  { params, input, configuration: { memory_limit_bytes: limit } }: Context,
  { images, labels }: Extract<SparseParams['task'], { kind: 'images' }>,
): Promise<Rows> {
  const [pixels, classes] = [await readBlob(input, images), labels ? await readBlob(input, labels) : null];
  const set: ImageSet = classes ? idxImages(pixels.bytes, classes.bytes, limit) : tensorImages(pixels.bytes, limit);
  const [first] = params.seeds;
  const parts = splitSamples(set.samples, sizesOf(set.samples.rows, params.split), first ?? 0);
  const names = Array.from({ length: set.classes }, (_, i) => String(i));
  const digest = await sha256Hex(canonicalJson([pixels.sha256, classes?.sha256 ?? null]));
  return { parts, classes: names, image: set.image, digest, inputs: null };
}

async function readBlob(input: Context['input'], id: string): Promise<{ bytes: Uint8Array; sha256: string }> {
  const found = input(id);
  const [blob] = found.blobs;
  if (!blob) {
    throw new SextantError('input_not_found', `the artefact ${id} has no bytes`);
  }
  return { bytes: new Uint8Array(await readFile(await found.file(blob.name))), sha256: blob.sha256 };
}

/** LeNet halves both sides twice between its convolutions; a transformer cuts them into patches. */
function requireImageSize(model: SparseParams['model'], { height, width }: ImageSize): void {
  const refuse = (why: string): never => {
    throw new SextantError('validation_failed', `/model: images are ${height} x ${width}; ${why}`);
  };
  if (model.kind === 'lenet' && (height % 4 !== 0 || width % 4 !== 0 || Math.min(height, width) < 16)) {
    refuse('lenet needs sides that 4 divides, of at least 16');
  }
  if (model.kind === 'vit' && (height % model.patch !== 0 || width % model.patch !== 0)) {
    refuse(`patches of ${model.patch} do not divide them`);
  }
}
