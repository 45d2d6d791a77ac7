import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { generate } from '../../../../gpu-worker/lm/generation/generate.ts';
import { loadModel } from '../../../../gpu-worker/lm/inference/model.ts';
import { readPublishedSettings } from '../../../../gpu-worker/lm/weights/published-settings.ts';
import { cases, hasCases } from '../../../support/guide.ts';
import { TINY, tinyModel } from '../../../support/tiny-model.ts';

function folderWith(content: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'settings-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, 'generation_config.json'), content);
  return folder;
}

describe('generation_config.json', () => {
  it('says which tokens end a text, and what else would change it', () => {
    const written = {
      eos_token_id: [3, 5],
      do_sample: true,
      temperature: 0.6,
      top_p: 1.0,
      pad_token_id: 3,
      use_cache: true,
    };
    expect(readPublishedSettings(folderWith(JSON.stringify(written)))).toEqual({
      endTokens: [3, 5],
      notApplied: { do_sample: true, temperature: 0.6 },
    });
    // As publishers write them, with a setting that nobody here knows.
    const wild = {
      _from_model_config: true,
      transformers_version: '4.51.0',
      bos_token_id: 1,
      repetition_penalty: 1.05,
      top_k: 20,
      suppress_tokens: [],
      suppress_tokens_again: [5],
      max_length: 4096,
      num_beams: 1,
    };
    expect(readPublishedSettings(folderWith(JSON.stringify(wild))).notApplied).toEqual({
      repetition_penalty: 1.05,
      top_k: 20,
      suppress_tokens_again: [5],
      max_length: 4096,
    });
    expect(readPublishedSettings(folderWith('{"eos_token_id": 7}')).endTokens).toEqual([7]);
    expect(readPublishedSettings(folderWith('{"eos_token_id": [7, -1]}')).endTokens).toEqual([7]);
    expect(readPublishedSettings(folderWith('{}'))).toEqual({ endTokens: null, notApplied: {} });
    expect(readPublishedSettings(tmpdir())).toEqual({ endTokens: null, notApplied: {} });
  });

  it.each(['[]', '{', '{"eos_token_id": "</s>"}', '{"eos_token_id": [1, null]}'])('%s is refused', (content) => {
    expect(() => readPublishedSettings(folderWith(content))).toThrow(
      expect.objectContaining({ code: 'weights_invalid' }) as Error,
    );
  });

  it('ends texts where its tokens come, and not where only the config says so', async () => {
    const { folder, remove } = tinyModel(TINY.llama!);
    onTestFinished(remove);
    const texts = async () => {
      const model = await loadModel(folder, { threads: 1 });
      const [made] = await generate(model, [[4, 9, 11]], { maxTokens: 12 });
      await model.release();
      return made!;
    };
    const free = await texts();
    const end = free.tokens[4]!;
    writeFileSync(join(folder, 'generation_config.json'), JSON.stringify({ eos_token_id: [end, 60] }));
    const ended = await texts();
    expect(ended).toMatchObject({ tokens: free.tokens.slice(0, free.tokens.indexOf(end) + 1), finish: 'stop_token' });
  });
});

describe.skipIf(!hasCases)('a model whose end tokens are in generation_config.json only', () => {
  it('stops where transformers stops', async () => {
    const { p, tf } = JSON.parse(readFileSync(cases('lm', 'generation-config-eos', 'case.json'), 'utf8')) as Record<
      'p' | 'tf',
      number[]
    >;
    const model = await loadModel(cases('lm', 'generation-config-eos'), { threads: 1 });
    const [made] = await generate(model, [p], { maxTokens: 20 });
    await model.release();
    expect(made).toMatchObject({ tokens: tf, finish: 'stop_token' });
  });
});
