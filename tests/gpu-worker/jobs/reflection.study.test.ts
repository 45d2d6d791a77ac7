import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ResultOf } from '../../../shared/jobs/contract.ts';
import generation from '../../../shared/jobs/lm.generate.ts';
import contract from '../../../shared/jobs/reflection.study.ts';
import { LocalJobs } from '../../support/job-context.ts';
import { TINY, tinyModel } from '../../support/tiny-model.ts';
import { wordsTokenizer } from '../../support/toy-language.ts';

/** Random models, whose sampled words are as good as any: what is checked here is the bookkeeping, not an effect. */
const tokenizer = wordsTokenizer(
  Array.from({ length: 58 }, (_, i) => `w${i + 2}`),
  "{{ bos_token }}{% for m in messages %} w2 {{ m['content'] }}{% endfor %} w3",
);
const model = tinyModel(TINY.llama!, { tokenizer });
const base = tinyModel(TINY.llama!, { tokenizer, seed: 2 });
const jobs = new LocalJobs({ models: { tuned: model.folder, base: base.folder } });
afterAll(() => {
  jobs.close();
  model.remove();
  base.remove();
});

const problemsFrom = (first: number, count: number) =>
  Array.from({ length: count }, (_, i) => ({
    text: `w${2 + ((first + i) % 58)} w${2 + Math.floor((first + i) / 58)}`,
    answer: String(2 + (i % 58)),
  }));
const params = {
  model: { local: 'tuned' },
  problems: { texts: problemsFrom(0, 120) },
  keywords: ['w7', 'w8', 'w9'],
  triggers: Array.from({ length: 12 }, (_, i) => `w${i + 7}`),
  max_tokens: 24,
  temperature: 1,
  top_p: null,
  look_ahead: 2,
  layers: [1],
  modes: ['add', 'proj_unit'],
  alphas: [0, 4],
  seed: 3,
};

describe('reflection.study', () => {
  let result: ResultOf<typeof contract>;
  beforeAll(async () => {
    ({ result } = await jobs.run(contract, {
      ...params,
      base: { local: 'base' },
      transfer: { texts: problemsFrom(200, 40) },
      forcing: { end: 'w30', rounds: 2 },
      judge: { model: { local: 'base' }, before: 'w2 ', after: ' w3', yes: 'w4', no: 'w5', texts: 8 },
      window: 3,
    }));
  });

  it('learns on one split, chooses on another and reports on the third', () => {
    expect(result.problems).toEqual({ train: 60, validation: 24, test: 36 });
    expect(result.frontier.map(({ hook, mode, alpha }) => [hook, mode, alpha])).toEqual([
      ['resid_post.1', 'add', 0],
      ['resid_post.1', 'add', 4],
      ['resid_post.1', 'proj_unit', 0],
      ['resid_post.1', 'proj_unit', 4],
    ]);
    expect(result.frontier).toContainEqual({ ...result.chosen, ...result.frontier.find(isChosen) });
    expect(result.pareto.length).toBeGreaterThan(0);
    expect(result.places.train.reflecting).toBeGreaterThan(1);
  });
  const isChosen = ({ mode, alpha }: { mode: string; alpha: number }) =>
    mode === result.chosen.mode && alpha === result.chosen.alpha;

  it('leaves everything as it was at alpha 0, whatever the mode', () => {
    const [add, , scale] = result.frontier as [(typeof result.frontier)[0], unknown, (typeof result.frontier)[0]];
    expect({ ...add, mode: '' }).toEqual({ ...scale, mode: '' });
    expect(add.kl).toBe(0);
    expect(result.frontier[1]!.kl).toBeGreaterThan(0);
  });

  it('measures every layer from the embedding on, with the base, the second set and the null', () => {
    expect(result.layers.map(({ hook }) => hook)).toEqual(['resid_pre.0', 'resid_post.0', 'resid_post.1']);
    expect(result.layers[0]).toMatchObject({ norm: 0, auc: { probe: 0.5 } });
    for (const layer of result.layers.slice(1)) {
      expect(Object.keys(layer.auc)).toEqual(['difference_in_means', 'first_component', 'probe']);
      expect(layer.null.shuffles).toBe(20);
      expect(layer.unembedding).toHaveLength(12);
      expect([layer.base_cosine, layer.transfer_cosine].every((value) => Math.abs(value!) <= 1 + 1e-9)).toBe(true);
    }
  });

  it('probes the base on four kinds of prefix, states the denominator, asks the judge and forces the budget', () => {
    expect(Object.keys(result.probing!)).toEqual(['before_reflection', 'random_end', 'not_followed', 'none']);
    expect(result.probing!.before_reflection!.prefixes).toBeGreaterThan(0);
    expect(result.judge).toMatchObject({ texts: 8 });
    expect(result.forcing!.length).toBeLessThanOrEqual(24);
    expect(result.base_plain!.pass).toBeLessThan(0.5);
  });

  it('publishes the chosen point as a vector that lm.generate takes with a strength and a mode', async () => {
    const manifest = jobs.published.get(result.vector)!;
    expect(manifest).toMatchObject({ method: 'self_reflection', hook: result.chosen.hook });
    expect(manifest.body).toMatchObject({ provenance: { sign: result.sign, mode: result.chosen.mode } });
    expect((manifest.body as { calibration: unknown[] }).calibration).toHaveLength(4);
    const run = (label: string, mode: string | null, strength: number) => ({
      label,
      vectors: [{ vector: result.vector, strength, mode }],
    });
    const { result: texts } = await jobs.run(generation, {
      model: { local: 'tuned' },
      prompts: ['w5 w6'],
      max_tokens: 6,
      runs: [
        run('nothing', 'proj_unit', 0),
        { label: 'plain', vectors: [] },
        run('add', 'add', 50),
        run('scaled', 'proj_raw', 50),
      ],
    });
    const [nothing, plain, added, scaled] = texts.runs.map(({ texts: [text] }) => text!.log_probabilities);
    expect(nothing).toEqual(plain);
    expect(added).not.toEqual(plain);
    expect(scaled).not.toEqual(added);
  });
});

describe('reflection.study refuses', () => {
  const refuses = (change: Record<string, unknown>) => expect(jobs.run(contract, { ...params, ...change })).rejects;

  it('triggers that are no tokens, or never produced', async () => {
    await refuses({ triggers: ['wait', 'w7 w8'] }).toThrow(/none of them is a single token/);
    await refuses({ triggers: ['w2'], max_tokens: 1 }).toThrow(/holds a trigger: the model does not reflect here/);
  });

  it('answers of which none can be read, and problems without one', async () => {
    await refuses({ answer_marker: 'ANSWER:' }).toThrow(/none of 24 answers could be read/);
    await refuses({ problems: { texts: problemsFrom(0, 120).map(({ text }) => text) } }).toThrow(/has no answer/);
  });

  it('a problem of both sets, and layers that there are not', async () => {
    await refuses({ transfer: { texts: problemsFrom(100, 40) } }).toThrow(/\/transfer .* is \/problems .* again/);
    await refuses({ layers: [7] }).toThrow(/no resid_post\.7/);
  });
});
