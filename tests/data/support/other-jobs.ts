/** Small jobs of the types that run no language model, and further ones of those that do, with more of their lists in use. */
import { mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { floatTensor, writeSafetensors } from '../../../shared/formats/safetensors.ts';
import fitGated from '../../../shared/jobs/fairness.fit_gated.ts';
import { stream } from '../../../shared/math/random.ts';
import { writeHalfModel } from '../../support/half-model.ts';
import type { LocalJobs } from '../../support/job-context.ts';

type Params = Record<string, unknown>;

const n = 240;
const z = stream(1, 'table').normal(3 * n);
const x1 = Array.from({ length: n }, (_, i) => z[3 * i]! + (i % 2 ? 0.8 : -0.2));
const x2 = Array.from({ length: n }, (_, i) => z[3 * i + 1]!);
const y = x1.map((x, i) => x + 0.4 * x2[i]! + 0.2 * z[3 * i + 2]!);
const score = y.map((v) => 1 / (1 + Math.exp(-v)));
const g = x1.map((_, i) => (i % 2 ? 'b' : 'a'));
const kind = x1.map((_, i) => ['p', 'q', 'r'][i % 3]!);
const label = score.map((p, i) => Number((i * 37) % 100 < 100 * p));
const table = { columns: { x1, x2, y, score, g, kind, label } };
const features = { columns: ['x1', 'x2', 'kind'], categorical: ['kind'] };
/** As many columns as features can be, with names as long as they can be. */
const names = Array.from({ length: 990 }, (_, j) => `column ${j} `.padEnd(200, '.'));
const wide = {
  columns: {
    ...Object.fromEntries(names.map((name, j) => [name, x1.slice(0, 60).map((_, i) => (i * (j + 3)) % 7)])),
    y: y.slice(0, 60),
    label: label.slice(0, 60),
    g: g.slice(0, 60),
  },
};
/** A category of as many levels as there can be, as long as they can be. */
const many = 850;
const levelled = {
  columns: {
    x1: Array.from({ length: many }, (_, i) => (i % 17) / 5 + (i % 2)),
    y: Array.from({ length: many }, (_, i) => (i % 17) / 5 + (i % 3)),
    label: Array.from({ length: many }, (_, i) => Number(i % 17 > 8)),
    score: Array.from({ length: many }, (_, i) => (i % 17) / 17),
    g: Array.from({ length: many }, (_, i) => (i % 2 ? 'b' : 'a')),
    kind: Array.from({ length: many }, (_, i) => `level ${i % (many / 2)} `.padEnd(1000, '.')),
  },
};
const record = { rate_hz: 360, unit: 'mV', leads: [{ name: 'I', samples: x1.concat(x1, x1) }] };
const words = (seed: number, count: number): string =>
  Array.from({ length: count }, (_, i) => `f${(seed * 5 + i * 3) % 16}`).join(' ');

export async function otherJobs(
  jobs: LocalJobs,
  model: { local: string },
  sae: string,
): Promise<Record<string, Params[]>> {
  const half = mkdtempSync(join(jobs.folder, 'half-'));
  await writeHalfModel(half);
  Object.assign(jobs.configuration.models, { half });
  const gated = { table, label: 'label', features, demographics: ['g'], groups: [2], restarts: 1, steps: 10 };
  const { result } = await jobs.run(fitGated, gated);
  const folder = jobs.configuration.models[model.local]!;
  const files = readdirSync(folder).map((name) => ({
    name,
    parts: [jobs.upload(name, readFileSync(join(folder, name)))],
  }));
  const tensor = (name: string, shape: number[]) =>
    floatTensor(name, shape, Float32Array.from(stream(5, name).normal(shape.reduce((a, b) => a * b, 1))));
  const [width, latents] = [48, 64];
  const weights = jobs.upload(
    'sae.safetensors',
    writeSafetensors([
      tensor('W_enc', [width, latents]),
      tensor('W_dec', [latents, width]),
      tensor('b_enc', [latents]),
      tensor('b_dec', [width]),
    ]),
  );
  const values = Array.from({ length: width }, (_, i) => (i % 3) - 1);
  const vectors = [{ vector: { hook: 'resid_post.1', values }, strength: 0.1 }];
  const runs = [{ label: 'steered', vectors, latents: [{ sae, latent: 1, value: 1 }] }];
  const prompts = [words(1, 4), words(2, 5)];
  const pole = (token: string) => ({ texts: [words(3, 5), words(4, 6)], tokens: [token] });
  const corpus = { texts: Array.from({ length: 60 }, (_, i) => words(i, 12)) };
  const labelled = [
    {
      name: 'side',
      texts: Array.from({ length: 24 }, (_, i) => ({
        text: words(i, 6),
        label: i % 2 ? 'odd' : 'even',
        spurious: 's',
      })),
    },
  ];
  const correction = (own: Params): Params => ({ correction: own });
  const lookahead = { table, attribute: { column: 'g', labels: ['a', 'b'] }, status: 'y' };
  return {
    'diagnostics.run': [{ steps: 1, step_ms: 0, artefacts: 1, artefact_bytes: 10, padding: 'x' }],
    'fairness.audit': [
      {
        table,
        task: 'classification',
        prediction: 'score',
        label: 'label',
        groups: ['g'],
        controls: ['kind'],
        consistency: { columns: ['x1', 'x2'] },
        thresholds: [0.5],
        draws: 20,
        permutations: 20,
      },
      {
        table: levelled,
        task: 'classification',
        prediction: 'score',
        label: 'label',
        groups: ['g', 'kind'],
        minimum_group: 2,
        draws: 10,
        permutations: 10,
      },
    ],
    'fairness.correct': [
      correction({ method: 'group_thresholds', scores: score, labels: label, groups: g }),
      correction({ method: 'barycentre', scores: score, groups: g }),
      correction({
        method: 'layer',
        weights: [[1, 0.5]],
        data: { rows: x1.map((x, i) => [x, x2[i]!]), groups: g },
      }),
    ],
    'fairness.edit_layer': [
      {
        table,
        target: 'y',
        group: 'g',
        features,
        network: { hidden: [8, 8], epochs: 1, batch: 32 },
        c1: [15],
        c2: [50],
      },
      ...[
        { table: wide, features: { columns: names } },
        { table: levelled, features: { columns: ['x1', 'kind'] } },
      ].map((own) => ({ ...own, target: 'y', group: 'g', network: { hidden: [4], epochs: 1 }, c1: [15], c2: [50] })),
    ],
    'fairness.fit_gated': [
      gated,
      { ...gated, table: wide, features: { columns: names } },
      { ...gated, table: levelled, features: { columns: ['x1', 'kind'] } },
      { ...gated, table: levelled, features: { columns: ['x1'] }, demographics: ['g', 'kind'] },
    ],
    'fairness.fit_lookahead': [
      { ...lookahead, model: { estimate: [{ name: 'x1' }, { name: 'y', parents: ['x1'] }] } },
      { ...lookahead, model: { latent: { children: [{ name: 'x1' }, { name: 'x2' }], burn_in: 50, samples: 100 } } },
      {
        ...lookahead,
        table: wide,
        model: {
          estimate: [...names.slice(0, 99).map((name) => ({ name })), { name: 'y', parents: names.slice(0, 99) }],
        },
      },
    ],
    'fairness.predict': [
      { table, predictor: result.predictor },
      { table: { columns: { ...levelled.columns, x2: levelled.columns.x1 } }, predictor: result.predictor },
    ],
    'ecg.denoise': [{ record, model: { local: 'half' } }],
    'ecg.train': [{ generator: { patients: 5, seconds: 40, seed: 3 }, steps: 1, batch: 2, every: 1, kernels: [1, 3] }],
    'model.import': [{ source: { files } }],
    'sae.import': [{ weights, model, hook: 'resid_post.1', note: 'x' }],
    'lm.generate': [
      { model, prompts, max_tokens: 3, alternatives: 2, stop: ['f9 f9'], runs },
      { model, prompts: [[{ role: 'user', content: 'h0' }]], max_tokens: 2 },
    ],
    'lm.evaluate': [
      { model, prompts, targets: [{ label: 't', tokens: ['f1'] }], runs, corpus, tokens: 64 },
      { model, prompts, answers: prompts.map(() => ({ token: 'f1', other: 'f2' })) },
    ],
    'activations.read': [
      { model, prompts, hooks: ['resid_post.1'], positions: [0, 1] },
      { model, prompts, logit_lens: { top: 20 }, patterns: [1] },
      { model, prompts, sae, allow_mismatch: true, strongest: 48 },
    ],
    'sae.encode': [{ model, sae, texts: prompts, allow_mismatch: true }],
    'sae.evaluate': [
      {
        model,
        saes: [sae],
        corpus,
        tokens: 256,
        context: 8,
        labelled,
        steering: { positive: pole('f1'), negative: pole('f2'), prompts, strengths: [1] },
        allow_mismatch: true,
      },
    ],
  };
}
