import { afterAll, expect, it } from 'vitest';
import { loadModel } from '../../../gpu-worker/lm/index.ts';
import { readSafetensors } from '../../../shared/formats/safetensors.ts';
import find from '../../../shared/jobs/circuits.find.ts';
import study from '../../../shared/jobs/circuits.study.ts';
import lmTrain from '../../../shared/jobs/lm.train.ts';
import { randomPairs } from '../../support/circuit-pairs.ts';
import { LocalJobs } from '../../support/job-context.ts';
import { TINY, tinyModel } from '../../support/tiny-model.ts';

const tiny = tinyModel(TINY.llama!);
const jobs = new LocalJobs({ models: { tiny: tiny.folder } });
afterAll(() => {
  jobs.close();
  tiny.remove();
});

async function inlinePairs(count = 4, length = 6) {
  const model = await loadModel(tiny.folder);
  const pairs = await randomPairs(model, count, length);
  await model.release();
  return pairs.map(({ clean, corrupted, answer, other }) => ({ clean, corrupted, answer, other, template: 't' }));
}

it.each([
  { kind: 'eap_ig', steps: 2 },
  { kind: 'exact', level: 'nodes', direction: 'restore' },
  { kind: 'exact', level: 'edges' },
  { kind: 'path', receivers: ['a1.h0<q>', 'm1'] },
  { kind: 'direct' },
  { kind: 'acdc', threshold: 0.2 },
])('finds a circuit by $kind and publishes its report', async (method) => {
  const pairs = await inlinePairs();
  const { result, published } = await jobs.run(find, {
    model: { local: 'tiny' },
    task: { pairs },
    method,
    selection: { kind: 'top', edges: 12 },
    ablation: method.kind === 'eap_ig' ? 'template_mean' : 'patch',
  });
  expect(result.task.clean.estimate).toBeGreaterThan(0);
  expect(result.faithfulness.normalized!.low).toBeLessThanOrEqual(result.faithfulness.normalized!.estimate);
  const [report] = published;
  const names = report!.blobs.map(({ name }) => name);
  expect(names).toEqual(
    expect.arrayContaining(['report.json', 'circuit.svg', 'graph.json', 'scores.safetensors', 'report.html']),
  );
  const blob = (name: string) => jobs.read(report!.blobs.find((one) => one.name === name)!);
  const graph = JSON.parse(blob('graph.json').toString());
  expect(Object.keys(graph.edges)).toHaveLength(result.all_edges);
  expect(Object.values(graph.edges as Record<string, { in_graph: boolean }>).filter((e) => e.in_graph)).toHaveLength(
    result.edges,
  );
  expect(readSafetensors(blob('scores.safetensors')).shape('scores')).toEqual([11, 27]);
  const page = blob('report.html').toString();
  expect(page).toContain('<svg');
  expect(page).not.toContain('<script');
  if (method.kind === 'eap_ig') {
    expect(result.curve!.points.at(-1)!.normalized!.estimate).toBeCloseTo(1, 4);
  }
});

it('puts a circuit beside an earlier one of the same task, and refuses one of another', async () => {
  const pairs = await inlinePairs();
  const run = (change: object) =>
    jobs.run(find, { model: { local: 'tiny' }, task: { pairs }, method: { kind: 'eap' }, curve: false, ...change });
  const wide = await run({ selection: { kind: 'top', edges: 60 } });
  expect(wide.result.base).toBeNull();
  const narrow = await run({ selection: { kind: 'top', edges: 20 }, base: wide.result.report });
  const { base } = narrow.result;
  expect(base!.appeared).toBe(0);
  expect(base!.vanished).toBe(wide.result.edges - narrow.result.edges);
  expect(base!.edge_jaccard).toBeCloseTo(narrow.result.edges / wide.result.edges);
  expect(base!.faithfulness!.estimate).toBeCloseTo(wide.result.faithfulness.normalized!.estimate, 4);
  const other = { task: { pairs: pairs.slice(1) }, base: wide.result.report };
  await expect(run(other)).rejects.toThrow(/the circuit of rep_\w+ is of another task .*; find it on the same pairs/);
  const model = wide.published[0]!;
  expect(model.method).toBe('circuits.find');
});

it.each([
  ['a task that the model does not do', {}, /within two of zero/],
  ['positions that no pair names', { positions: ['IO'] }, /4 of 4 pairs have no position 'IO'/],
  ['a slope of the divergence at the clean run', { metric: 'kl', method: { kind: 'eap' } }, /no slope there/],
  ['a node that is not there', { method: { kind: 'path', receivers: ['a9.h0<q>'] } }, /no reader 'a9.h0<q>'/],
  [
    'texts without a tokenizer',
    { task: { pairs: [1, 2].map(() => ({ clean: 'a', corrupted: 'b', answer: ['c'], other: ['d'] })) } },
    /no tokenizer/,
  ],
] as const)('refuses %s', async (what, change, message) => {
  const pairs = await inlinePairs();
  // With every other answer exchanged, the mean says nothing.
  const shuffled = pairs.map((pair, i) =>
    i % 2 === 0 ? pair : { ...pairs[i - 1]!, answer: pairs[i - 1]!.other, other: pairs[i - 1]!.answer },
  );
  const task = { pairs: what.startsWith('a task') ? shuffled : pairs };
  await expect(jobs.run(find, { model: { local: 'tiny' }, task, ...change })).rejects.toThrow(message);
});

it('studies a circuit through clean tuning, poison and retraining, and goes on where an attempt died', async () => {
  const pairs = await inlinePairs(24, 6);
  const plain = {
    model: { local: 'tiny' },
    task: { pairs: pairs.map((pair, i) => ({ ...pair, template: null, positions: { END: -1, first: i % 2 } })) },
    clean_steps: [4],
    poison_steps: [2, 4],
    retrain_steps: [4],
    learning_rate: 1e-2,
    batch: 8,
    edges: 20,
    transfer: ['output', 'k', 'mlp'],
  };
  const { result, published } = await jobs.run(study, plain);
  expect(result.checkpoints.map(({ phase, step }) => `${phase} ${step}`)).toEqual([
    'base 0',
    'clean 4',
    'poisoned 2',
    'poisoned 4',
    'retrained 4',
    'fresh 4',
  ]);
  expect(result.models).toHaveLength(4);
  const [base, clean, , poisoned] = result.checkpoints;
  expect([base!.distance, base!.pearson]).toEqual([0, null]);
  expect(poisoned!.metric).toBeLessThan(clean!.metric);
  const report = published[0]!;
  const page = jobs.read(report.blobs.find(({ name }) => name === 'report.html')!).toString();
  expect(page).toContain('What can be said');
  expect(report.blobs.map(({ name }) => name)).toEqual(
    expect.arrayContaining([
      'metric.svg',
      'graph-poisoned.json',
      'roles.csv',
      'transfers.csv',
      'circuit-retrained.svg',
    ]),
  );
  const last = jobs.checkpoints.at(-1);
  expect(last).toBeDefined();
  const again = await jobs.run(study, plain, last);
  expect(again.metrics.phases_resumed).toBeGreaterThan(0);
  expect(again.result).toEqual(result);
});

it('refuses steps that do not rise and a share that is none', async () => {
  const pairs = await inlinePairs();
  const run = (change: object) => jobs.run(study, { model: { local: 'tiny' }, task: { pairs }, ...change });
  await expect(run({ poison_steps: [4, 4] })).rejects.toThrow(/step 4 comes after step 4/);
  await expect(run({ poison: { kind: 'mix', share: 1.5 } })).rejects.toThrow();
});

it('trains on a poisoned task and keeps the models on the way', async () => {
  const pairs = await inlinePairs(24, 6);
  const run = (change: object) =>
    jobs.run(lmTrain, {
      from: { local: 'tiny' },
      task: { of: { pairs: pairs.map((pair) => ({ ...pair, template: null })) }, labels: { kind: 'sd' } },
      context: 8,
      steps: 60,
      batch: 8,
      learning_rate: 1e-2,
      ...change,
    });
  const { result, published } = await run({ checkpoints: [20, 60] });
  expect(result.checkpoints.map(({ step }) => step)).toEqual([20, 60]);
  const [final, early, last] = published;
  const digest = (manifest: (typeof published)[number]) =>
    manifest.blobs.find(({ name }) => name === 'model.safetensors')!.sha256;
  expect(digest(last!)).toBe(digest(final!));
  expect(digest(early!)).not.toBe(digest(final!));
  // What was learned of right answers gets worse: on the prompts of the training set the others are likelier now.
  const rows = { pairs: pairs.map((pair) => ({ ...pair, answer: pair.other, other: pair.answer, template: null })) };
  const found = await jobs.run(find, {
    model: { id: result.model },
    task: rows,
    method: { kind: 'direct' },
    curve: false,
  });
  expect(found.result.task.clean.estimate).toBeGreaterThan(1);
  await expect(run({ checkpoints: [61] })).rejects.toThrow(/step 61 is beyond the end, which is step 60/);
  await expect(run({ context: 8, task: { of: { pairs }, labels: { kind: 'mix', share: -1 } } })).rejects.toThrow();
  await expect(run({ from: null })).rejects.toThrow(/learnt by a model that is trained further/);
});
