/** `lm.generate` steered by values given inline: modes, bounds, conditions and places, and what is refused. */
import { afterAll, describe, expect, it } from 'vitest';
import generateText from '../../../gpu-worker/jobs/lm.generate.ts';
import contract from '../../../shared/jobs/lm.generate.ts';
import { stream } from '../../../shared/math/random.ts';
import { TINY, tinyModel } from '../../support/tiny-model.ts';
import { wordTokenizer } from '../../support/word-tokenizer.ts';
import { jobsOfFile } from './support/run-job.ts';

const { runJob } = jobsOfFile();
const model = tinyModel(TINY.llama!, { tokenizer: wordTokenizer() });
afterAll(() => model.remove());

const HOOK = 'resid_post.0';
const PROMPT = 'w2 w3 w4 w5';
const values = (name: string) => Array.from(stream(2, name).normal(16));
const vector = { hook: HOOK, values: values('v') };
const [one, two] = [values('one'), values('two')];

/** What each of these runs says of its tokens. */
async function logProbabilities(runs: Record<string, unknown>[], more: Record<string, unknown> = {}) {
  const params = { model: { local: 'tiny' }, prompts: [PROMPT], max_tokens: 6, ...more };
  const labelled = runs.map((run, i) => ({ label: `run ${i}`, ...run }));
  const { outcome } = await runJob(contract, generateText, { ...params, runs: labelled }, {}, { tiny: model.folder });
  return outcome.result.runs.map(({ texts }) => texts[0]!.log_probabilities);
}

describe('lm.generate', () => {
  it('takes every mode inline; a bound or a condition that nothing reaches changes no bit', async () => {
    const [plain, added, ablated, capped, loose, never, always] = await logProbabilities([
      {},
      { vectors: [{ vector, strength: 0.5 }] },
      { vectors: [{ vector, mode: 'ablate' }] },
      { vectors: [{ vector, mode: 'cap', least: 0.1, most: 0.2 }] },
      { vectors: [{ vector, mode: 'cap', most: 1e6 }] },
      { vectors: [{ vector, strength: 0.5, when: { vector, above: 1e6 } }] },
      { vectors: [{ vector, strength: 0.5, when: { vector, above: -1e6 } }] },
    ]);
    expect(loose).toEqual(plain);
    expect(never).toEqual(plain);
    expect(always).toEqual(added);
    const distinct = new Set([plain, added, ablated, capped].map((values) => JSON.stringify(values)));
    expect(distinct.size).toBe(4);
  });

  it('steers where a vector is placed: all positions one by one are all positions', async () => {
    const strength = 0.5;
    const everywhere = Array.from({ length: 12 }, (_, i) => i);
    // The prompt has five tokens, the first of which begins the text.
    const [all, listed, prompt, firstFive, generated, afterFive] = await logProbabilities([
      { vectors: [{ vector, strength }] },
      { vectors: [{ vector, strength, at: everywhere }] },
      { vectors: [{ vector, strength, at: 'prompt' }] },
      { vectors: [{ vector, strength, at: everywhere.slice(0, 5) }] },
      { vectors: [{ vector, strength, at: 'generated' }] },
      { vectors: [{ vector, strength, at: everywhere.slice(5) }] },
    ]);
    expect(listed).toEqual(all);
    expect(firstFive).toEqual(prompt);
    expect(afterFive).toEqual(generated);
    expect(prompt).not.toEqual(generated);
  });

  it('takes several vectors, each with its own strength and place', async () => {
    const both = [one, two].map((own, i) => ({ vector: { hook: `resid_post.${i}`, values: own }, strength: 0.3 + i }));
    const [first, second, together] = await logProbabilities([
      { vectors: [both[0]] },
      { vectors: [both[1]] },
      { vectors: both },
    ]);
    expect(new Set([first, second, together].map((values) => JSON.stringify(values))).size).toBe(3);
  });

  it.each([
    [
      'a condition at another hook',
      { vector, when: { vector: { hook: 'resid_post.1', values: one }, above: 0 } },
      /resid_post.1/,
    ],
    ['a vector of another width', { vector: { hook: HOOK, values: [1, 2] } }, /2 values/],
    ['a vector of zeros', { vector: { hook: HOOK, values: values('v').fill(0) } }, /zero/],
    ['a cap without bounds', { vector, mode: 'cap' }, /least/],
  ])('refuses %s', async (_what, use, message) => {
    await expect(logProbabilities([{ vectors: [use] }])).rejects.toThrow(message);
  });
});
