/** Every method that is one operation of the API, with arguments that show where each goes. */
import type { Sextant } from '../../../edge/client/index.ts';

const id = 'x/y';
const at = 'x%2Fy';
const bytes = { name: 'a', sha256: '0'.repeat(64), bytes: 1, media_type: 'text/plain' };

type Operation = [operation: string, method: string, call: (client: Sextant) => PromiseLike<unknown>, sent?: unknown];

/** Goes over a generator to its end. */
async function drain(events: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of events) {
    // to the end
  }
}

export const OPERATIONS: readonly Operation[] = [
  ['POST /v1/artefacts', 'artefacts.announce', (c) => c.artefacts.announce(bytes), bytes],
  ['GET /v1/artefacts', 'artefacts.list', (c) => c.artefacts.list({ job: 'j' })],
  ['POST /v1/artefacts/{id}/commit', 'artefacts.commit', (c) => c.artefacts.commit(id)],
  ['GET /v1/artefacts/{id}', 'artefacts.get', (c) => c.artefacts.get(id)],
  ['DELETE /v1/artefacts/{id}', 'artefacts.delete', (c) => c.artefacts.delete(id)],
  ['GET /v1/audit', 'tenant.audit', (c) => c.tenant.audit({ action: 'key.create' })],
  ['GET /v1/capabilities', 'service.capabilities', (c) => c.service.capabilities()],
  [
    'POST /v1/jobs',
    'jobs.create',
    (c) => c.jobs.create('diagnostics.run', {}),
    { type: 'diagnostics.run', params: {} },
  ],
  ['GET /v1/jobs', 'jobs.list', (c) => c.jobs.list({ type: 'sae.train', status: 'failed' })],
  ['GET /v1/jobs/{id}', 'jobs.get', (c) => c.jobs.get(id)],
  ['GET /v1/jobs/{id}/params', 'jobs.params', (c) => c.jobs.params(id)],
  ['POST /v1/jobs/{id}/cancel', 'jobs.cancel', (c) => c.jobs.cancel(id)],
  ['DELETE /v1/jobs/{id}', 'jobs.delete', (c) => c.jobs.delete(id)],
  ['POST /v1/jobs/{id}/resume', 'jobs.resume', (c) => c.jobs.resume(id, { max_cost: 3 }), { max_cost: 3 }],
  ['GET /v1/jobs/{id}/deliveries', 'jobs.deliveries', (c) => c.jobs.deliveries(id)],
  ['GET /v1/jobs/{id}/events', 'jobs.events', (c) => drain(c.jobs.events(id))],
  ['GET /v1/saes', 'saes.list', (c) => c.saes.list({ model: 'm' })],
  ['GET /v1/saes/{id}', 'saes.get', (c) => c.saes.get(id)],
  ['DELETE /v1/saes/{id}', 'saes.delete', (c) => c.saes.delete(id)],
  ['GET /v1/saes/{id}/latents', 'saes.latents', (c) => c.saes.latents(id, { sort: 'density' })],
  ['GET /v1/saes/{id}/latents/{latent}', 'saes.latent', (c) => c.saes.latent(id, 3)],
  ['GET /v1/reports/{id}', 'reports.get', (c) => c.reports.get(id)],
  ['DELETE /v1/reports/{id}', 'reports.delete', (c) => c.reports.delete(id)],
  ['GET /v1/models', 'models.list', (c) => c.models.list()],
  ['GET /v1/models/{id}', 'models.get', (c) => c.models.get(id)],
  ['DELETE /v1/models/{id}', 'models.delete', (c) => c.models.delete(id)],
  ['POST /v1/fairness/audits', 'fairness.audit', (c) => c.fairness.audit({} as never), {}],
  ['POST /v1/fairness/corrections', 'fairness.correct', (c) => c.fairness.correct({} as never), {}],
  ['POST /v1/fairness/predictors', 'fairness.createPredictor', (c) => c.fairness.createPredictor({} as never), {}],
  ['GET /v1/fairness/predictors/{id}', 'fairness.predictor', (c) => c.fairness.predictor(id)],
  ['DELETE /v1/fairness/predictors/{id}', 'fairness.deletePredictor', (c) => c.fairness.deletePredictor(id)],
  [
    'POST /v1/fairness/predictors/{id}/predictions',
    'fairness.predict',
    (c) => c.fairness.predict(id, { columns: { a: [1] } }),
    { columns: { a: [1] } },
  ],
  ['POST /v1/activations', 'generations.activations', (c) => c.generations.activations({} as never), {}],
  ['GET /v1/models/{id}/files/{name}', 'models.file', (c) => c.models.file(id, id)],
  ['POST /v1/vectors', 'vectors.upload', (c) => c.vectors.upload({} as never), {}],
  ['POST /v1/ecg/denoisings', 'ecg.denoise', (c) => c.ecg.denoise({} as never, { waitS: 9 }), {}],
  ['POST /v1/generations', 'generations.create', (c) => c.generations.create({} as never), {}],
  ['POST /v1/chat/completions', 'generations.chat', (c) => c.generations.chat({} as never), {}],
  ['POST /v1/completions', 'generations.complete', (c) => c.generations.complete({} as never), {}],
  ['GET /v1/vectors', 'vectors.list', (c) => c.vectors.list({ hook: 'h' })],
  ['GET /v1/vectors/{id}', 'vectors.get', (c) => c.vectors.get(id)],
  ['DELETE /v1/vectors/{id}', 'vectors.delete', (c) => c.vectors.delete(id)],
  ['POST /v1/vector-batches', 'vectors.batch', (c) => c.vectors.batch({ ids: [id] }), { ids: [id], format: 'json' }],
  ['GET /v1/vector-names', 'vectorNames.list', (c) => c.vectorNames.list()],
  ['GET /v1/vector-names/{name}', 'vectorNames.get', (c) => c.vectorNames.get(id)],
  ['PUT /v1/vector-names/{name}', 'vectorNames.set', (c) => c.vectorNames.set(id, 'v', { ifMatch: 2 }), { id: 'v' }],
  ['DELETE /v1/vector-names/{name}', 'vectorNames.delete', (c) => c.vectorNames.delete(id, { ifMatch: '*' })],
  [
    'POST /v1/webhook-endpoints',
    'webhookEndpoints.create',
    (c) => c.webhookEndpoints.create({ address: 'a' }),
    { address: 'a' },
  ],
  ['GET /v1/webhook-endpoints', 'webhookEndpoints.list', (c) => c.webhookEndpoints.list()],
  ['GET /v1/webhook-endpoints/{id}', 'webhookEndpoints.get', (c) => c.webhookEndpoints.get(id)],
  [
    'PATCH /v1/webhook-endpoints/{id}',
    'webhookEndpoints.update',
    (c) => c.webhookEndpoints.update(id, { disabled: true }),
    { disabled: true },
  ],
  ['DELETE /v1/webhook-endpoints/{id}', 'webhookEndpoints.delete', (c) => c.webhookEndpoints.delete(id)],
  [
    'POST /v1/webhook-endpoints/{id}/secret/rotate',
    'webhookEndpoints.rotateSecret',
    (c) => c.webhookEndpoints.rotateSecret(id, { overlap_s: 1 }),
    { overlap_s: 1 },
  ],
  ['POST /v1/webhook-endpoints/{id}/test', 'webhookEndpoints.test', (c) => c.webhookEndpoints.test(id)],
  [
    'GET /v1/webhook-endpoints/{id}/deliveries',
    'webhookEndpoints.deliveries',
    (c) => c.webhookEndpoints.deliveries(id),
  ],
  [
    'POST /v1/webhook-endpoints/{id}/deliveries/{delivery}/redeliver',
    'webhookEndpoints.redeliver',
    (c) => c.webhookEndpoints.redeliver(id, id),
  ],
  ['GET /v1/webhook-secret', 'webhookSecret.get', (c) => c.webhookSecret.get()],
  ['POST /v1/webhook-secret/rotate', 'webhookSecret.rotate', (c) => c.webhookSecret.rotate({ overlapS: 5 })],
  [
    'POST /v1/inbound/{provider}/{id}',
    'inboundHooks.deliver',
    (c) => c.inboundHooks.deliver('github', id, '{"a":1}', { 'x-github-event': 'ping' }),
    { a: 1 },
  ],
  ['POST /v1/inbound-hooks', 'inboundHooks.create', (c) => c.inboundHooks.create({} as never), {}],
  ['GET /v1/inbound-hooks', 'inboundHooks.list', (c) => c.inboundHooks.list()],
  ['GET /v1/inbound-hooks/{id}', 'inboundHooks.get', (c) => c.inboundHooks.get(id)],
  [
    'PATCH /v1/inbound-hooks/{id}',
    'inboundHooks.update',
    (c) => c.inboundHooks.update(id, { disabled: true }),
    { disabled: true },
  ],
  ['DELETE /v1/inbound-hooks/{id}', 'inboundHooks.delete', (c) => c.inboundHooks.delete(id)],
  [
    'POST /v1/inbound-hooks/{id}/secret/rotate',
    'inboundHooks.rotateSecret',
    (c) => c.inboundHooks.rotateSecret(id),
    {},
  ],
  ['GET /v1/inbound-hooks/{id}/deliveries', 'inboundHooks.deliveries', (c) => c.inboundHooks.deliveries(id)],
  ['GET /v1/inbound-hooks/{id}/deliveries/{delivery}', 'inboundHooks.delivery', (c) => c.inboundHooks.delivery(id, id)],
  [
    'POST /v1/inbound-hooks/{id}/deliveries/{delivery}/replay',
    'inboundHooks.replay',
    (c) => c.inboundHooks.replay(id, id),
  ],
  ['POST /v1/recipes', 'recipes.create', (c) => c.recipes.create({} as never), {}],
  ['GET /v1/recipes', 'recipes.list', (c) => c.recipes.list()],
  ['GET /v1/recipes/{id}', 'recipes.get', (c) => c.recipes.get(id, { version: 2 })],
  ['DELETE /v1/recipes/{id}', 'recipes.delete', (c) => c.recipes.delete(id)],
  ['POST /v1/recipes/{id}/versions', 'recipes.revise', (c) => c.recipes.revise(id, {} as never), {}],
  ['POST /v1/recipes/{id}/dry-runs', 'recipes.dryRun', (c) => c.recipes.dryRun(id, { payload: {} }), { payload: {} }],
  ['GET /v1/runs', 'runs.list', (c) => c.runs.list({ status: 'failed' })],
  ['GET /v1/runs/{id}', 'runs.get', (c) => c.runs.get(id)],
  ['POST /v1/runs/{id}/cancel', 'runs.cancel', (c) => c.runs.cancel(id)],
  ['GET /v1/runs/{id}/events', 'runs.events', (c) => drain(c.runs.events(id))],
  [
    'POST /v1/keys',
    'keys.create',
    (c) => c.keys.create({ name: 'n', scopes: ['jobs:read'] }),
    { name: 'n', scopes: ['jobs:read'] },
  ],
  ['GET /v1/keys', 'keys.list', (c) => c.keys.list()],
  ['GET /v1/keys/{id}', 'keys.get', (c) => c.keys.get(id)],
  ['DELETE /v1/keys/{id}', 'keys.revoke', (c) => c.keys.revoke(id)],
  ['POST /v1/keys/{id}/rotate', 'keys.rotate', (c) => c.keys.rotate(id, { overlapS: 60 })],
  ['GET /v1/usage', 'tenant.usage', (c) => c.tenant.usage({ from: '2026-01-01' })],
  ['POST /v1/tenant-deletions', 'tenant.delete', (c) => c.tenant.delete({ confirmation: 'c' }), { confirmation: 'c' }],
  [
    'PUT /v1/spending-caps/{tenant}',
    'service.setSpendingCap',
    (c) => c.service.setSpendingCap(id, { device_seconds_per_day: 1 }),
    { device_seconds_per_day: 1 },
  ],
  ['GET /v1/metrics', 'service.metrics', (c) => c.service.metrics()],
  ['GET /v1/pools/{pool}', 'service.pool', (c) => c.service.pool(id)],
  ['GET /healthz', 'service.health', (c) => c.service.health()],
  ['GET /problems/{code}', 'service.problem', (c) => c.service.problem(id)],
  ['GET /.well-known/jwks.json', 'service.signingKeys', (c) => c.service.signingKeys()],
];

/** Methods made of others. */
export const COMPOSED: readonly string[] = [
  'jobs.estimate',
  'jobs.wait',
  'jobs.run',
  'jobs.runJob',
  'artefacts.download',
  'artefacts.bytes',
  'artefacts.upload',
  'artefacts.uploadParts',
  'vectors.values',
  'vectors.file',
];

/** The path of an operation with the ids of the table in it. */
export const pathOf = (operation: string): string =>
  operation
    .slice(operation.indexOf(' ') + 1)
    .replace('{latent}', '3')
    .replace('{provider}', 'github')
    .replaceAll(/\{\w+\}/g, at);
