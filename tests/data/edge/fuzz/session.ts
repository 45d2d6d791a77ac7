/** A tenant to fuzz with: what it holds grows and shrinks with the requests, so that ids are those of things that exist. */
import { createHmac, randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { faultOf, OPERATIONS, type Operation } from './contract.ts';
import { fitting, hostile, spoilt } from './values.ts';

const DIGEST = 'ab'.repeat(32);
const RECIPE = { steps: [{ id: 'wait', type: 'diagnostics.run', params: { steps: 1 } }] };
const RECORD = {
  sampling_hz: 250,
  leads: [{ name: 'II', samples: Array.from({ length: 500 }, (_, i) => Math.sin(i / 9)) }],
};

/** Bodies that are right, for operations whose schema alone does not say what is. `id` gives one that exists. */
const EXAMPLES: Readonly<Record<string, (id: (prefix: string) => string) => unknown>> = {
  'POST /v1/jobs': () => ({ type: 'diagnostics.run', params: { steps: 1 } }),
  'POST /v1/artefacts': () => ({ name: 'a.bin', sha256: DIGEST, bytes: 10, media_type: 'text/plain' }),
  'POST /v1/recipes': () => ({ name: 'fuzz', ...RECIPE }),
  'POST /v1/recipes/{id}/versions': () => RECIPE,
  'POST /v1/recipes/{id}/dry-runs': () => ({
    provider: 'github',
    headers: { 'x-github-event': 'push' },
    payload: PUSH,
  }),
  'POST /v1/inbound-hooks': (id) => ({ name: 'fuzz', provider: 'github', recipe: id('rcp'), secret: 'fuzz' }),
  'POST /v1/keys': () => ({ name: 'fuzz', scopes: ['jobs:read'] }),
  'POST /v1/webhook-endpoints': () => ({ address: 'https://hooks.example.com/in' }),
  'PATCH /v1/webhook-endpoints/{id}': () => ({ name: 'other' }),
  'POST /v1/ecg/denoisings': () => RECORD,
  'POST /v1/fairness/audits': () => ({
    task: 'classification',
    predictions: [0, 1, 1, 0, 1, 0, 1, 1],
    labels: [0, 1, 0, 0, 1, 1, 1, 0],
    groups: { sex: ['a', 'b', 'a', 'b', 'a', 'b', 'a', 'b'] },
    draws: 20,
    permutations: 20,
    minimum_group: 2,
  }),
  'POST /v1/vector-batches': () => ({ ids: [`vec_${'a'.repeat(52)}`] }),
  'POST /v1/inbound/{provider}/{id}': () => PUSH,
  'PUT /v1/spending-caps/{tenant}': () => ({ device_seconds_per_day: null }),
  'POST /v1/tenant-deletions': () => ({}),
};
const PUSH = {
  ref: 'refs/heads/main',
  before: '0'.repeat(40),
  after: 'a'.repeat(40),
  repository: { full_name: 'a/b' },
};

/** Operations that have no valid input here: what they name is made by workers, or by other requests' successes. */
export const WITHOUT_VALID_INPUT: ReadonlySet<string> = new Set([
  ...[
    'artefacts/{id}',
    'models/{id}',
    'saes/{id}',
    'vectors/{id}',
    'reports/{id}',
    'fairness/predictors/{id}',
    'vector-names/{name}',
  ].flatMap((path) => [`GET /v1/${path}`, `DELETE /v1/${path}`]),
  'GET /v1/saes/{id}/latents',
  'GET /v1/saes/{id}/latents/{latent}',
  'PUT /v1/vector-names/{name}',
  'POST /v1/artefacts/{id}/commit',
  'POST /v1/jobs/{id}/resume',
  'POST /v1/jobs/{id}/cancel',
  'DELETE /v1/jobs/{id}',
  'DELETE /v1/recipes/{id}',
  'POST /v1/fairness/corrections',
  'POST /v1/fairness/predictors',
  'POST /v1/fairness/predictors/{id}/predictions',
  'POST /v1/generations',
  'POST /v1/chat/completions',
  'POST /v1/completions',
  'GET /v1/inbound-hooks/{id}/deliveries/{delivery}',
  'POST /v1/inbound-hooks/{id}/deliveries/{delivery}/replay',
  'POST /v1/webhook-endpoints/{id}/deliveries/{delivery}/redeliver',
  'GET /v1/runs/{id}',
  'POST /v1/runs/{id}/cancel',
  'GET /v1/runs/{id}/events',
  'GET /problems/{code}',
]);

type Plan = { kind: 'valid' | 'nearly' | 'hostile' | 'foreign'; seed: number };
export type Tally = { sent: number; succeeded: number; refused: number };

/** Which things an operation's `{id}` names. */
const PREFIXES: readonly [RegExp, string][] = [
  [/^\/v1\/jobs/, 'job'],
  [/^\/v1\/artefacts/, 'art'],
  [/^\/v1\/keys/, 'key'],
  [/^\/v1\/recipes/, 'rcp'],
  [/^\/v1\/inbound/, 'inh'],
  [/^\/v1\/webhook-endpoints/, 'whe'],
  [/^\/v1\/runs/, 'run'],
];

export class FuzzSession {
  readonly #url: string;
  readonly #key: string;
  readonly #alive = new Map<string, string[]>();
  readonly tally = new Map<string, Tally>(OPERATIONS.map(({ name }) => [name, { sent: 0, succeeded: 0, refused: 0 }]));
  constructor(url: string, key: string) {
    this.#url = url;
    this.#key = key;
  }

  /** Sends one request of this plan. Raises an Error that says what the answer broke. */
  async send(operation: Operation, plan: Plan): Promise<void> {
    const pick = <T>(arbitrary: fc.Arbitrary<T>, n: number): T =>
      fc.sample(arbitrary, { numRuns: 1, seed: (plan.seed + n) | 0 })[0]!;
    const { path, raw, headers } = this.#request(operation, plan, pick);
    const tally = this.tally.get(operation.name)!;
    tally.sent += 1;
    const ask = (): Promise<Response> =>
      fetch(this.#url + path, {
        method: operation.method,
        headers,
        redirect: 'manual',
        ...(raw === undefined ? {} : { body: raw }),
        signal: AbortSignal.timeout(60_000),
      });
    // a connection that the service closed behind an earlier refusal is no answer to this request
    const answer = await ask()
      .catch(ask)
      .catch((error: Error) => {
        throw new Error(
          `${operation.method} ${path.slice(0, 300)} (${plan.kind}, ${plan.seed}) ${error.message}: ${error.cause}`,
        );
      });
    const type = answer.headers.get('content-type') ?? '';
    const streamed = type.startsWith('text/event-stream');
    if (streamed) {
      await answer.body?.cancel();
    }
    const text = streamed ? '' : await answer.text();
    tally.succeeded += answer.status < 300 ? 1 : 0;
    tally.refused += answer.status === 401 || answer.status === 429 ? 1 : 0;
    const fault = faultOf(operation, answer.status, type, text);
    if (fault !== null) {
      const shown = typeof raw === 'string' ? raw.slice(0, 400) : '';
      throw new Error(`${operation.method} ${path} (${plan.kind}, ${plan.seed}) ${fault}\n  sent: ${shown}`);
    }
    this.#remember(operation, path, answer.status, text);
  }

  #id(prefix: string, at: number): string {
    const alive = this.#alive.get(prefix) ?? [];
    return alive.length > 0 ? alive[at % alive.length]! : `${prefix}_${'a'.repeat(26)}`;
  }

  #request(operation: Operation, { kind, seed }: Plan, pick: <T>(arbitrary: fc.Arbitrary<T>, n: number) => T) {
    const headers: Record<string, string> = {
      'cf-connecting-ip': `10.${seed & 255}.${(seed >> 8) & 255}.${(seed >> 16) & 255}`,
    };
    if (operation.secured) {
      headers.authorization = `Bearer ${this.#key}`;
    }
    if (operation.method === 'POST') {
      headers['idempotency-key'] = randomUUID();
      headers.prefer = 'wait=1';
    }
    const prefix = PREFIXES.find(([of]) => of.test(operation.path))?.[1];
    const query = new URLSearchParams();
    let path = operation.path;
    for (const [n, { in: place, name, schema }] of operation.parameters.entries()) {
      const value = kind === 'hostile' ? pick(hostile, n) : pick(fitting(schema), n);
      const spelled = typeof value === 'object' ? JSON.stringify(value) : String(value);
      if (place === 'path') {
        const own = name === 'id' && prefix !== undefined && (kind === 'valid' || kind === 'nearly');
        const code = operation.path.startsWith('/problems') ? 'not_found' : name === 'provider' ? 'github' : spelled;
        const given = own ? this.#id(prefix, seed >>> 0) : code;
        path = path.replace(`{${name}}`, encodeURIComponent(given.toWellFormed().slice(0, 400)) || 'x');
      } else if (place === 'query' && (kind === 'hostile' || (name !== 'cursor' && seed % 3 === 0))) {
        query.set(name, spelled.toWellFormed().slice(0, 2000));
      }
    }
    const body = this.#body(operation, kind, seed, pick);
    if (body !== undefined) {
      headers['content-type'] = kind === 'hostile' && seed % 7 === 0 ? 'text/plain' : 'application/json';
    }
    const whole = body === undefined ? undefined : JSON.stringify(body);
    const raw = whole !== undefined && kind === 'hostile' && seed % 5 === 0 ? whole.slice(0, -1) : whole;
    if (operation.path.startsWith('/v1/inbound/') && raw !== undefined) {
      headers['x-github-event'] = 'push';
      headers['x-github-delivery'] = randomUUID();
      headers['x-hub-signature-256'] = `sha256=${createHmac('sha256', 'fuzz').update(raw).digest('hex')}`;
    }
    return { path: path + (query.size > 0 ? `?${query}` : ''), raw, headers };
  }

  #body(
    operation: Operation,
    kind: Plan['kind'],
    seed: number,
    pick: <T>(arbitrary: fc.Arbitrary<T>, n: number) => T,
  ): unknown {
    if (operation.body === null || operation.method === 'GET') {
      return undefined;
    }
    // with the code that it answers, a tenant would be gone
    if (operation.path === '/v1/tenant-deletions' && kind !== 'valid') {
      return { confirmation: pick(fc.string({ maxLength: 200 }), 99) };
    }
    const example = EXAMPLES[operation.name]?.((prefix) => this.#id(prefix, seed >>> 0));
    const fits = example ?? pick(fitting(operation.body), 100);
    switch (kind) {
      case 'valid':
        return fits;
      case 'foreign':
        return pick(fitting(operation.body), 101);
      case 'nearly':
        return pick(spoilt(fits), 102) ?? null;
      case 'hostile':
        return pick(hostile, 103) ?? null;
      default:
        return kind satisfies never;
    }
  }

  /** Keeps the ids of what was made, at most a few of a kind, and drops those of what is gone. */
  #remember({ method, path: of }: Operation, path: string, status: number, text: string): void {
    if (method === 'DELETE' && status === 204) {
      const id = decodeURIComponent(path.split('/').at(-1) ?? '');
      for (const [prefix, alive] of this.#alive) {
        this.#alive.set(
          prefix,
          alive.filter((one) => one !== id),
        );
      }
    }
    if (method === 'POST' && status >= 200 && status < 300 && !of.includes('{') && text.startsWith('{')) {
      const { id } = JSON.parse(text) as { id?: unknown };
      if (typeof id === 'string') {
        const prefix = id.split('_')[0]!;
        this.#alive.set(prefix, [...(this.#alive.get(prefix) ?? []), id].slice(-20));
      }
    }
  }
}

/** Kinds of requests by seed: as many valid ones as all others together. */
export const planOf = (seed: number): Plan => ({
  kind: (['valid', 'valid', 'valid', 'nearly', 'hostile', 'foreign'] as const)[(seed >>> 3) % 6]!,
  seed,
});
