/** Corpora in files as streams, and passes over a corpus that start again from where another one stood. */
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openCorpus } from '../../../gpu-worker/jobs/inputs/corpus-input.ts';
import { DOCUMENT_LIMIT, type Document, fileDocuments, surveyFile } from '../../../gpu-worker/lm/corpus/corpus-file.ts';
import type { CorpusPosition } from '../../../gpu-worker/lm/corpus/passages.ts';
import { type LanguageModel, loadModel } from '../../../gpu-worker/lm/inference/model.ts';
import { stream } from '../../../shared/math/random.ts';
import { TINY, type TinyModel, tinyModel } from '../../support/tiny-model.ts';
import { wordTokenizer } from '../../support/word-tokenizer.ts';

const folder = mkdtempSync(join(tmpdir(), 'sextant-corpus-'));
afterAll(() => rmSync(folder, { recursive: true }));

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) {
    list.push(item);
  }
  return list;
}

let files = 0;
function write(text: string | Uint8Array): string {
  const path = join(folder, `corpus-${files++}`);
  writeFileSync(path, text);
  return path;
}
const read = (text: string | Uint8Array, format: 'text' | 'jsonl' = 'text'): Promise<Document[]> =>
  all(fileDocuments({ path: write(text), format, field: 'text' }));

/** Text of pieces drawn by a seed; whitespace of every kind is as frequent as words. */
function ragged(seed: number, length: number): string {
  const pieces = ['a', 'bc', 'é', '🙂', '\n', '\n', '\n', ' ', '\t', '\r', '\u00a0', '\u2028', '\n\n'];
  return [...stream(seed, 'ragged').integers(length, pieces.length)].map((i) => pieces[i]).join('');
}

describe('a text file', () => {
  it('has the paragraphs that splitting the whole text gives', async () => {
    for (let seed = 0; seed < 60; seed++) {
      const text = ragged(seed, 1 + 5 * seed);
      const expected = text.split(/\n\s*\n/).filter((part) => part.trim() !== '');
      expect(
        (await read(text)).map((document) => document.text),
        `seed ${seed}`,
      ).toEqual(expected);
    }
  });

  it('has the same ones where they cross the pieces in which it is read', async () => {
    const text = ragged(7, 400_000);
    const documents = await read(text);
    expect(documents.map((document) => document.text)).toEqual(
      text.split(/\n\s*\n/).filter((part) => part.trim() !== ''),
    );
    // From any document's place on, the rest is the same.
    const path = write(text);
    for (const at of [1, Math.floor(documents.length / 2), documents.length - 1]) {
      const { text: _text, ...place } = documents[at]!;
      expect(await all(fileDocuments({ path, format: 'text', field: '' }, place))).toEqual(documents.slice(at));
    }
  });
});

it.each(['text', 'jsonl'] as const)('a file in another encoding is refused by its line (%s)', async (format) => {
  const bytes = Buffer.from('{"text":"a"}\n\n{"text":"caf\u00e9"}\n', 'latin1');
  await expect(read(bytes, format)).rejects.toMatchObject({
    code: 'data_invalid',
    message: expect.stringMatching(/line 3 of the corpus is not UTF-8/),
  });
});

describe('a file of JSON lines', () => {
  it('has one document per line that is not blank, from any place on', async () => {
    const texts = Array.from({ length: 50 }, (_, i) => ragged(i, 40));
    const source = `\ufeff${texts.map((text) => JSON.stringify({ text, other: 1 })).join('\r\n\n')}`;
    const documents = await read(source, 'jsonl');
    expect(documents.map(({ text }) => text)).toEqual(texts);
    const { text: _text, ...place } = documents[20]!;
    expect(place).toMatchObject({ document: 20, line: 41 });
    expect(await all(fileDocuments({ path: write(source), format: 'jsonl', field: 'text' }, place))).toEqual(
      documents.slice(20),
    );
  });

  it.each([
    ['{"text":"a"}\n\n{"text"', /line 3 of the corpus is not JSON/],
    ['{"text":"a"}\n{"text":"b\\ud83d"}', /line 2 of the corpus holds half of a character/],
    ['{"text":"a"}\n{"words":"b"}\n', /line 2 of the corpus has no text field 'text'/],
    ['null\n', /line 1 of the corpus has no text field/],
    [`{"text":"${'a'.repeat(DOCUMENT_LIMIT)}"}`, /document at line 1 of the corpus has more than/],
  ])('is refused where a line is wrong (%#)', async (text, message) => {
    await expect(read(text, 'jsonl')).rejects.toMatchObject({
      code: 'data_invalid',
      message: expect.stringMatching(message),
    });
  });

  it('is digested as its bytes are', async () => {
    const path = write(JSON.stringify({ text: 'é'.repeat(300_000) }));
    const digest = createHash('sha256').update(readFileSync(path)).digest('hex');
    expect(await surveyFile({ path, format: 'jsonl', field: 'text' })).toEqual({ digest, documents: 1 });
  });
});

describe('a pass over a corpus', () => {
  let tiny: TinyModel;
  let model: LanguageModel;
  beforeAll(async () => {
    tiny = tinyModel(TINY.llama!, { tokenizer: wordTokenizer() });
    model = await loadModel(tiny.folder, { threads: 1 });
  });
  afterAll(async () => {
    await model.release();
    tiny.remove();
  });

  /** 37 documents of 0 to 24 words, so that sequences of 7 end within, at the end of and across documents. */
  const texts = Array.from({ length: 37 }, (_, i) =>
    [...stream(i, 'words').integers(i % 9 === 4 ? 0 : 1 + ((i * 11) % 24), 59)].map((word) => `w${word + 2}`).join(' '),
  );
  const corpora = {
    texts: () => ({ texts: texts.map((text) => text || ' ') }),
    jsonl: () => ({ local: 'lines' }),
    sampled: () => ({ sampled: { seed: 3, temperature: 1 } }),
  };

  it.each(Object.entries(corpora))('goes on from every place where it stood: %s', async (_name, corpus) => {
    const lines = `${join(folder, 'lines')}.jsonl`;
    writeFileSync(lines, texts.map((text) => JSON.stringify({ text })).join('\n'));
    const configuration = { corpora: { lines } } as never;
    const opened = await openCorpus({ configuration, input: () => undefined as never }, corpus(), model, 'digest');
    for (const split of ['all', 'train', 'held_out'] as const) {
      const use = { split, packing: 'packed', length: 7, limit: 470, as: 'rows' } as const;
      const passages = await all(opened.read(use));
      expect(passages.length).toBeGreaterThan(3);
      for (const [i, { next }] of passages.entries()) {
        if (i % 23 === 0 || i > passages.length - 3) {
          const rest = opened.read(use, JSON.parse(JSON.stringify(next)) as CorpusPosition);
          expect(await all(rest), `from passage ${i + 1}`).toEqual(passages.slice(i + 1));
        }
      }
    }
  });

  it('packs what the documents of its split hold, and every tenth is held out', async () => {
    const configuration = { corpora: {} } as never;
    const corpus = corpora.texts();
    const opened = await openCorpus({ configuration, input: () => undefined as never }, corpus, model, 'digest');
    for (const split of ['train', 'held-out'] as const) {
      const ids = texts
        .filter((_, i) => (i % 10 === 0) === (split === 'held-out'))
        .flatMap((text) => model.tokenizer!.encode(text || ' '));
      const sequences = await all(opened.sequences(split, 7));
      expect(sequences.flatMap((sequence) => Array.from(sequence))).toEqual(
        ids.slice(0, 7 * Math.floor(ids.length / 7)),
      );
    }
  });
});
