/** Corpora that params refer to, opened for a handler: token sequences in two splits, with a digest. */
import { readFile } from 'node:fs/promises';
import type { Corpus } from '../../shared/contracts/corpus.ts';
import { SextantError } from '../../shared/contracts/problem.ts';
import { canonicalJson, sha256Hex } from '../../shared/signing/digest.ts';
import { generate } from '../lm/generate.ts';
import type { LanguageModel } from '../lm/model.ts';
import { type Axis, isSigned } from '../lm/planted/axes.ts';
import { HEADER, PlantedLanguage } from '../lm/planted/language.ts';
import { packed, tokenised } from '../lm/sequences.ts';
import type { JobContext } from './handler.ts';

export type Split = 'train' | 'held-out';

/** Sequence `sequence` of a split of a language whose axes are known. */
export type KnownAxes = {
  axes: readonly { name: string; signed: boolean }[];
  states(split: Split, sequence: number): ArrayLike<number>;
  /** Position in a sequence from which the text depends on the states. */
  from: number;
};

export type OpenedCorpus = {
  /** Digest of what the text is made from. */
  digest: string;
  /** One pass over a split; the generated language and samples never end. */
  sequences(split: Split, context: number): AsyncIterable<ArrayLike<number>>;
  axes: KnownAxes | null;
};

/** Documents of a finite corpus that are kept for evaluation: every tenth. */
const HELD_OUT = 10;
const SAMPLE_ROWS = 64;

/** @throws SextantError `data_invalid`, `input_not_found` */
export async function openCorpus(
  context: Pick<JobContext<unknown>, 'configuration' | 'input'>,
  corpus: Corpus,
  model: LanguageModel,
  modelDigest: string,
): Promise<OpenedCorpus> {
  if ('planted' in corpus) return planted(corpus.planted.seed, model);
  if ('sampled' in corpus) return sampled(corpus.sampled, model, modelDigest);
  if ('texts' in corpus) return documents(corpus.texts, model, await sha256Hex(canonicalJson(corpus.texts)));
  if ('local' in corpus) {
    const file = context.configuration.corpora[corpus.local];
    if (!file) throw new SextantError('data_invalid', `this worker has no corpus alias '${corpus.local}'`);
    return fromFile(file, file.endsWith('.jsonl') ? 'jsonl' : 'text', 'text', model);
  }
  const input = context.input(corpus.artefact);
  const blob = input.blobs[0];
  if (!blob) throw new SextantError('input_not_found', `the artefact ${corpus.artefact} has no bytes`);
  return fromFile(await input.file(blob.name), corpus.format, corpus.field, model);
}

async function planted(seed: number, model: LanguageModel): Promise<OpenedCorpus> {
  const language = new PlantedLanguage(seed);
  if (model.architecture.vocabulary < language.vocabulary.length) {
    throw new SextantError(
      'data_invalid',
      `the generated language has ${language.vocabulary.length} words, the model ${model.architecture.vocabulary}`,
    );
  }
  const digest = await sha256Hex(canonicalJson({ planted: { seed }, vocabulary: language.vocabulary }));
  const axes = language.axes.map((axis: Axis) => ({ name: axis.name, signed: isSigned(axis) }));
  return {
    digest,
    async *sequences(split, context) {
      for (const { ids } of language.documents(split, context)) yield ids;
    },
    axes: { axes, states: (split, sequence) => language.document(split, sequence, HEADER).states, from: HEADER },
  };
}

async function sampled(
  { seed, temperature }: { seed: number; temperature: number },
  model: LanguageModel,
  modelDigest: string,
): Promise<OpenedCorpus> {
  const start = model.tokenizer?.bos ?? model.tokenizer?.eos;
  if (start === undefined || start === null) {
    throw new SextantError('data_invalid', 'the model has no beginning-of-sequence token to sample from');
  }
  return {
    digest: await sha256Hex(canonicalJson({ sampled: { seed, temperature }, model: modelDigest })),
    async *sequences(split, context) {
      for (let round = split === 'train' ? 0 : 1; ; round += 2) {
        const prompts = Array.from({ length: SAMPLE_ROWS }, () => [start]);
        const options = {
          maxTokens: context - 1,
          temperature,
          seed: (seed + 1000003 * round) % Number.MAX_SAFE_INTEGER,
        };
        for (const { tokens } of await generate(model, prompts, options)) yield [start, ...tokens];
      }
    },
    axes: null,
  };
}

async function fromFile(
  file: string,
  format: 'text' | 'jsonl',
  field: string,
  model: LanguageModel,
): Promise<OpenedCorpus> {
  const bytes = await readFile(file);
  const text = new TextDecoder('utf-8').decode(bytes);
  const digest = await sha256Hex(Uint8Array.from(bytes));
  if (format === 'text')
    return documents(
      text.split(/\n\s*\n/).filter((part) => part.trim() !== ''),
      model,
      digest,
    );
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  return documents(
    lines.map((line, i) => {
      let value: unknown;
      try {
        value = (JSON.parse(line) as Record<string, unknown>)[field];
      } catch {
        throw new SextantError('data_invalid', `line ${i + 1} of the corpus is not JSON`);
      }
      if (typeof value !== 'string')
        throw new SextantError('data_invalid', `line ${i + 1} has no text field '${field}'`);
      return value;
    }),
    model,
    digest,
  );
}

function documents(texts: readonly string[], model: LanguageModel, digest: string): OpenedCorpus {
  const { tokenizer } = model;
  if (!tokenizer) throw new SextantError('data_invalid', 'the model has no tokenizer: it cannot read texts');
  if (texts.length === 0) throw new SextantError('data_invalid', 'the corpus has no documents');
  // A single document serves both splits.
  const held = (index: number) => texts.length > 1 && index % Math.min(HELD_OUT, texts.length) === 0;
  return {
    digest,
    sequences(split, context) {
      const part = texts.length === 1 ? texts : texts.filter((_, i) => held(i) === (split === 'held-out'));
      return packed(tokenised(part, tokenizer), { length: context });
    },
    axes: null,
  };
}
