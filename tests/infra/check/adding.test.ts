/** What the README says is enough to add a thing is enough: each is added to a copy, and used there. */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';

const ROOT = join(import.meta.dirname, '../../..');

const ROUTE = `/** Says what it is told. */
import { createRoute, z } from '@hono/zod-openapi';
import type { App } from '../environment.ts';
import { json, open } from '../http/declaration.ts';

const read = createRoute({
  ...open,
  method: 'get',
  path: '/v1/echoes/{text}',
  tags: ['echoes'],
  summary: 'Say it again',
  request: { params: z.object({ text: z.string() }) },
  responses: { 200: json(z.object({ text: z.string() }).openapi('Echo'), 'The text') },
});

export default function registerEchoes(app: App): void {
  app.openapi(read, (c) => c.json({ text: c.req.valid('param').text }, 200));
}
`;

/** Serves one request with the application of the copy; of workerd's modules only class names matter. */
const ASK = `
import { registerHooks } from 'node:module';
const url = 'data:text/javascript,export class DurableObject {}; export const tracing = {};';
registerHooks({ resolve: (s, c, next) => (s === 'cloudflare:workers' ? { url, shortCircuit: true } : next(s, c)) });
const { createApp } = await import('./edge/app.ts');
const answer = await createApp().request(process.argv[1]);
console.log(JSON.stringify({ status: answer.status, body: await answer.json() }));
`;

const CONTRACT = `/** \`echo.say\`: says what it is told. */
import { z } from 'zod';
import { defineJob } from './contract.ts';

export default defineJob({
  type: 'echo.say',
  summary: 'Say it again',
  version: 1,
  scope: 'jobs:write',
  example: { text: 'hello' },
  params: z.strictObject({ text: z.string().max(100) }),
  result: z.object({ text: z.string() }),
  progress: {},
  produces: [],
  models: () => [],
  inputs: () => [],
  estimate: () => ({ device_seconds: 1, memory_bytes: 6e7, artefact_bytes: 0 }),
  retention_days: 1,
});
`;

const HANDLER = `/** Handler of \`echo.say\`. */
import contract from '../../shared/jobs/echo.say.ts';
import { handle } from './handler.ts';

export default handle(contract, async ({ params }) => ({
  result: { text: params.text },
  published: [],
  metrics: {},
  run: { device: 'cpu', dtype: 'none', seed: 0, tolerance: null },
}));
`;

/** Runs a job of the copy by the generated indexes, as the worker's process does. */
const RUN = `
const { JOB_CONTRACTS } = await import('./shared/jobs/index.generated.ts');
const { JOB_HANDLERS } = await import('./gpu-worker/jobs/index.generated.ts');
const params = JOB_CONTRACTS['echo.say'].params.parse({ text: 'hello' });
const handler = await JOB_HANDLERS['echo.say']();
console.log(JSON.stringify((await handler({ params })).result));
`;

const FAMILY = `/** Llama under another name, without the biases. */
import type { Family } from '../architecture.ts';
import { llamaLikeConfig, llamaLikeWeights, readLlamaLike } from './llama-like.ts';

export const echoLm: Family = {
  modelType: 'echo_lm',
  prefix: 'model.',
  architecture: (config) => readLlamaLike(config, 'echo_lm'),
  weights: (a) => llamaLikeWeights(a),
  config: (a) => llamaLikeConfig(a, 'EchoForCausalLM'),
};
`;

/** Writes a folder of random weights of the new family, opens it and runs it. */
const FORWARD = `
import { stream } from './shared/math/random.ts';
import { describe, familyOf, parseArchitecture } from './shared/models/describe.ts';
import { listWeights } from './shared/models/architecture.ts';
import { loadModel } from './gpu-worker/lm/inference/model.ts';
import { initialisers } from './gpu-worker/lm/weights/initialise.ts';
import { saveFolder } from './gpu-worker/lm/weights/save.ts';
const config = { model_type: 'echo_lm', vocab_size: 61, hidden_size: 16, intermediate_size: 24, num_hidden_layers: 2,
  num_attention_heads: 4, num_key_value_heads: 2, max_position_embeddings: 32, rms_norm_eps: 1e-5 };
const a = parseArchitecture(config);
const weights = familyOf(a.family).weights(a);
const shapes = new Map(listWeights(weights).map(({ name, shape }) => [name, shape]));
const initial = initialisers(a, weights);
saveFolder('model', a, (name) => Float32Array.from(initial.get(name)(shapes.get(name), stream(1, name))), { tokenizer: null, config });
const model = await loadModel('model', { device: 'cpu', threads: 1 });
const { logits } = await model.forward({ ids: [[1, 2, 3]], logits: 'last' });
const { family, hooks } = describe(config);
console.log(JSON.stringify({ family, hooks: hooks.length > 0, shape: logits.shape, finite: logits.data.every(Number.isFinite) }));
await model.release();
`;

let copy: string;
const node = (...args: string[]): string =>
  execFileSync(process.execPath, args, { cwd: copy, encoding: 'utf8', stdio: 'pipe' });
const script = (text: string, ...args: string[]): unknown =>
  JSON.parse(node('--input-type=module', '-e', text, ...args));
const contractOf = () => readFileSync(join(copy, 'openapi.json'), 'utf8');

beforeAll(() => {
  copy = mkdtempSync(join(tmpdir(), 'sextant-adding-'));
  // all that the generator reads: sources, committed results, pages with figures
  for (const part of [
    'edge',
    'shared',
    'gpu-worker',
    'infra',
    'tests/bench',
    'tests/studies',
    'package.json',
    'openapi.json',
    'README.md',
  ]) {
    cpSync(join(ROOT, part), join(copy, part), { recursive: true });
  }
  symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'));
  writeFileSync(join(copy, 'edge/routes/echoes.ts'), ROUTE);
  writeFileSync(join(copy, 'shared/jobs/echo.say.ts'), CONTRACT);
  writeFileSync(join(copy, 'gpu-worker/jobs/echo.say.ts'), HANDLER);
  writeFileSync(join(copy, 'shared/models/families/echo-lm.ts'), FAMILY);
  let stale = '';
  try {
    node('infra/check/generated.ts');
  } catch (error) {
    stale = String((error as Error).message);
  }
  // the check says which indexes lack the new files
  for (const index of ['edge/routes', 'shared/jobs', 'gpu-worker/jobs', 'shared/models/families']) {
    expect(stale).toContain(`${index}/index.generated.ts is stale`);
  }
  node('infra/check/generated.ts', '--write');
}, 120_000);
afterAll(() => rmSync(copy, { recursive: true }));

test('a route is one file: it is registered, described and served', () => {
  expect(script(ASK, '/v1/echoes/hello')).toEqual({ status: 200, body: { text: 'hello' } });
  const { paths } = JSON.parse(contractOf()) as { paths: Record<string, object> };
  expect(paths['/v1/echoes/{text}']).toMatchObject({ get: { summary: 'Say it again' } });
});

test('a job type is a contract and a handler: it is validated, described and dispatched', () => {
  expect(script(RUN)).toEqual({ text: 'hello' });
  expect(contractOf()).toContain('"echo.say"');
});

test('a family of language models is one file: its configs are read, its folders written, opened and run', () => {
  expect(script(FORWARD)).toEqual({ family: 'echo_lm', hooks: true, shape: [1, 61], finite: true });
});
