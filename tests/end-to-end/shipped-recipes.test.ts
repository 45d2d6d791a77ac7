/** The recipes that the guides ship, from a signed push of the Hub to vectors, scores and a drift report, on a real worker. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { RunView } from '../../shared/contracts/run.ts';
import { repositoryRoot } from '../support/guide.ts';
import { COMMIT, type HubServer, hubServer } from '../support/hub-server.ts';
import { TINY, type TinyModel, tinyModel } from '../support/tiny-model.ts';
import { until } from '../support/until.ts';
import { wordTokenizer } from '../support/word-tokenizer.ts';
import { Stack } from './support/stack.ts';

const TEXTS = Array.from({ length: 40 }, (_, i) =>
  Array.from({ length: 24 }, (_, j) => `w${2 + ((7 * i + 11 * j + i * j) % 58)}`).join(' '),
);
const SECRET = 'a secret of the hub';
const OLD = COMMIT;
let model: TinyModel;
let hub: HubServer;
let stack: Stack;

beforeAll(async () => {
  model = tinyModel({ ...TINY.llama }, { tokenizer: wordTokenizer() });
  const files = Object.fromEntries(
    readdirSync(model.folder).map((name) => [name, new Uint8Array(readFileSync(join(model.folder, name)))]),
  );
  hub = await hubServer(files);
  stack = await new Stack().start();
  await stack.startWorker({ hubs: { huggingface: { endpoint: hub.endpoint } } });
}, 180_000);
afterAll(async () => {
  await stack.stop();
  await hub.close();
  model.remove();
});

/** A shipped recipe with the tester's own model, corpus, autoencoder and poles. */
function shipped(name: string, sae: string | null): unknown[] {
  const text = readFileSync(join(repositoryRoot, 'edge/guides/recipes', `${name}.json`), 'utf8')
    .replaceAll('sae_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', sae ?? '')
    .replaceAll('["Put documents of your own here."]', JSON.stringify(TEXTS))
    .replaceAll('It is warm today.', 'w3 w4 w5')
    .replaceAll('It is cold today.', 'w40 w41 w42')
    .replaceAll('4096', '512');
  return (JSON.parse(text) as { steps: unknown[] }).steps;
}

async function runOf(name: string, sae: string | null): Promise<RunView> {
  const post = async <T>(path: string, body: unknown): Promise<T> => {
    const answer = await stack.call('POST', path, { body });
    if (!answer.ok) {
      throw new Error(`${path}: ${await answer.text()}`);
    }
    return (await answer.json()) as T;
  };
  const recipe = await post<{ id: string }>('/v1/recipes', { name, steps: shipped(name, sae) });
  const hook = await post<{ id: string; path: string }>('/v1/inbound-hooks', {
    name,
    provider: 'huggingface',
    recipe: recipe.id,
    repositories: ['owner/model'],
    secret: SECRET.replaceAll(' ', '-'),
  });
  const push = {
    event: { action: 'update', scope: 'repo.content' },
    repo: { type: 'model', name: 'owner/model', id: '1', private: false },
    webhook: { id: '1', version: 3 },
    updatedRefs: [{ ref: 'refs/heads/main', oldSha: OLD, newSha: COMMIT }],
  };
  const sent = await fetch(`${stack.edge.url}${hook.path}`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'x-webhook-secret': SECRET.replaceAll(' ', '-'),
      'webhook-id': name,
    },
    body: JSON.stringify(push),
  });
  expect(sent.status).toBe(202);
  let run: RunView | null = null as RunView | null;
  await until(
    async () => {
      const listed = await stack.call('GET', `/v1/runs?hook=${hook.id}`);
      const [first] = ((await listed.json()) as { data: RunView[] }).data;
      run = first ? ((await (await stack.call('GET', `/v1/runs/${first.id}`)).json()) as RunView) : null;
      return run !== null && run.status !== 'running';
    },
    `the run of ${name}`,
    240_000,
  ).catch((error: Error) => {
    throw new Error(`${error.message}: ${JSON.stringify(run)}`);
  });
  if (run?.status !== 'succeeded') {
    throw new Error(JSON.stringify(run));
  }
  return run;
}

it('a pushed checkpoint is extracted, scored and given a vector; its drift is reported', async () => {
  const id = await stack.postJob('sae.train', {
    model: { hub: 'huggingface', repo: 'owner/model', revision: COMMIT },
    hook: 'resid_post.0',
    corpus: { texts: TEXTS },
    context: 16,
    saes: [{ variant: 'topk', width: 32, k: 4 }],
    batch: 64,
    steps: 20,
    warmup_steps: 2,
  });
  await until(async () => (await stack.job(id)).status === 'succeeded', 'the autoencoder', 240_000);
  const sae = (await stack.job(id)).published.find(({ kind }) => kind === 'sae')?.id ?? '';

  const pushed = await runOf('checkpoint-push', sae);
  const jobs = await Promise.all(pushed.steps.map(({ jobs }) => stack.job(jobs[0]?.id ?? '')));
  expect(jobs.map(({ type, status }) => [type, status])).toEqual([
    ['activations.extract', 'succeeded'],
    ['sae.evaluate', 'succeeded'],
    ['vectors.derive', 'succeeded'],
  ]);
  const vector = jobs[2]?.published.find(({ kind }) => kind === 'vector')?.id;
  expect((await stack.call('GET', `/v1/vectors/${vector}?format=json`)).status).toBe(200);
  expect(jobs[1]?.result).toMatchObject({ saes: [{ id: sae }] });

  const drift = await runOf('drift-report', null);
  const compared = await stack.job(drift.steps[0]?.jobs[0]?.id ?? '');
  // a checkpoint does not drift from itself
  expect((compared.result as { kl: { estimate: number } }).kl.estimate).toBeLessThan(1e-6);
  expect(drift.event).toMatchObject({ revision: COMMIT, previous_revision: OLD });
}, 600_000);
