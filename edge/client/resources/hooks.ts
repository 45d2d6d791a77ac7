/** Webhooks in both directions: endpoints that are told, hooks that start recipes, and what those run. */
import type { z } from 'zod';
import type { dryRunRequestSchema, dryRunSchema } from '../../../shared/contracts/dry-run.ts';
import type { InboundDelivery, Provider } from '../../../shared/contracts/inbound.ts';
import type {
  changeInboundHookSchema,
  createInboundHookSchema,
  inboundAnswerSchema,
  inboundHookSchema,
  newInboundHookSchema,
  rotateInboundSecretSchema,
} from '../../../shared/contracts/inbound-hook.ts';
import type {
  createRecipeSchema,
  recipeBodySchema,
  recipeSchema,
  recipeSummarySchema,
} from '../../../shared/contracts/recipe.ts';
import type { RunEvent, RunStatus, RunView, runSummarySchema } from '../../../shared/contracts/run.ts';
import type {
  changeWebhookEndpointSchema,
  createWebhookEndpointSchema,
  newWebhookEndpointSchema,
  rotateWebhookSecretSchema,
  webhookDeliverySchema,
  webhookEndpointSchema,
  webhookSecretSchema,
  webhookTestSchema,
} from '../../../shared/contracts/webhook-endpoint.ts';
import { type EventOptions, events } from '../events.ts';
import { type PageOptions, Pages } from '../pages.ts';
import type { CallOptions, CreateOptions, Transport } from '../transport.ts';
import { withoutUndefined } from './jobs.ts';

export type WebhookEndpoint = z.output<typeof webhookEndpointSchema>;
export type NewWebhookEndpoint = z.output<typeof newWebhookEndpointSchema>;
export type WebhookDelivery = z.output<typeof webhookDeliverySchema>;
export type InboundHook = z.output<typeof inboundHookSchema>;
export type NewInboundHook = z.output<typeof newInboundHookSchema>;
export type InboundAnswer = z.output<typeof inboundAnswerSchema>;
export type Recipe = z.output<typeof recipeSchema>;
export type RecipeSummary = z.output<typeof recipeSummarySchema>;
export type DryRun = z.output<typeof dryRunSchema>;
export type Run = RunView;
export type RunSummary = z.output<typeof runSummarySchema>;

/** A secret is made anew by each: repeated, the caller would hold one that is no more. */
const unrepeatable = true;

export class WebhookEndpoints {
  readonly #transport: Transport;
  constructor(transport: Transport) {
    this.#transport = transport;
  }

  create(body: z.input<typeof createWebhookEndpointSchema>, options: CreateOptions = {}): Promise<NewWebhookEndpoint> {
    return this.#transport.json('POST', '/v1/webhook-endpoints', { ...options, body });
  }

  list(options: PageOptions = {}): Pages<WebhookEndpoint> {
    return new Pages(this.#transport, '/v1/webhook-endpoints', options);
  }

  get(id: string, options: CallOptions = {}): Promise<WebhookEndpoint> {
    return this.#transport.json('GET', this.#at(id), options);
  }

  update(
    id: string,
    body: z.input<typeof changeWebhookEndpointSchema>,
    options: CallOptions = {},
  ): Promise<WebhookEndpoint> {
    return this.#transport.json('PATCH', this.#at(id), { ...options, body });
  }

  delete(id: string, options: CallOptions = {}): Promise<void> {
    return this.#transport.nothing('DELETE', this.#at(id), options);
  }

  rotateSecret(
    id: string,
    body: z.input<typeof rotateWebhookSecretSchema> = {},
    options: CallOptions = {},
  ): Promise<NewWebhookEndpoint> {
    return this.#transport.json('POST', `${this.#at(id)}/secret/rotate`, { ...options, body, unrepeatable });
  }

  /** Sends the event `endpoint.test`; its attempts are among the deliveries. */
  test(id: string, options: CallOptions = {}): Promise<z.output<typeof webhookTestSchema>> {
    return this.#transport.json('POST', `${this.#at(id)}/test`, options);
  }

  deliveries(id: string, options: PageOptions = {}): Pages<WebhookDelivery> {
    return new Pages(this.#transport, `${this.#at(id)}/deliveries`, options);
  }

  redeliver(id: string, delivery: string, options: CallOptions = {}): Promise<void> {
    return this.#transport.nothing(
      'POST',
      `${this.#at(id)}/deliveries/${encodeURIComponent(delivery)}/redeliver`,
      options,
    );
  }

  #at(id: string): string {
    return `/v1/webhook-endpoints/${encodeURIComponent(id)}`;
  }
}

/** The secret that signs the webhooks which jobs name themselves. */
export class WebhookSecret {
  readonly #transport: Transport;
  constructor(transport: Transport) {
    this.#transport = transport;
  }

  get(options: CallOptions = {}): Promise<z.output<typeof webhookSecretSchema>> {
    return this.#transport.json('GET', '/v1/webhook-secret', options);
  }

  /** Deliveries carry both signatures for `overlapS` seconds. */
  rotate({
    overlapS,
    ...options
  }: CallOptions & { overlapS?: number } = {}): Promise<z.output<typeof webhookSecretSchema>> {
    const query = { overlap_s: overlapS };
    return this.#transport.json('POST', '/v1/webhook-secret/rotate', { ...options, query, unrepeatable });
  }
}

export class InboundHooks {
  readonly #transport: Transport;
  constructor(transport: Transport) {
    this.#transport = transport;
  }

  create(body: z.input<typeof createInboundHookSchema>, options: CreateOptions = {}): Promise<NewInboundHook> {
    return this.#transport.json('POST', '/v1/inbound-hooks', { ...options, body });
  }

  list(options: PageOptions = {}): Pages<InboundHook> {
    return new Pages(this.#transport, '/v1/inbound-hooks', options);
  }

  get(id: string, options: CallOptions = {}): Promise<InboundHook> {
    return this.#transport.json('GET', this.#at(id), options);
  }

  update(id: string, body: z.input<typeof changeInboundHookSchema>, options: CallOptions = {}): Promise<InboundHook> {
    return this.#transport.json('PATCH', this.#at(id), { ...options, body });
  }

  delete(id: string, options: CallOptions = {}): Promise<void> {
    return this.#transport.nothing('DELETE', this.#at(id), options);
  }

  rotateSecret(
    id: string,
    body: z.input<typeof rotateInboundSecretSchema> = {},
    options: CallOptions = {},
  ): Promise<NewInboundHook> {
    return this.#transport.json('POST', `${this.#at(id)}/secret/rotate`, { ...options, body, unrepeatable });
  }

  deliveries(id: string, options: PageOptions = {}): Pages<InboundDelivery> {
    return new Pages(this.#transport, `${this.#at(id)}/deliveries`, options);
  }

  delivery(id: string, delivery: string, options: CallOptions = {}): Promise<InboundDelivery> {
    return this.#transport.json('GET', `${this.#at(id)}/deliveries/${encodeURIComponent(delivery)}`, options);
  }

  /** Runs an accepted delivery again, as a run of its own. */
  replay(id: string, delivery: string, options: CallOptions = {}): Promise<InboundDelivery> {
    return this.#transport.json('POST', `${this.#at(id)}/deliveries/${encodeURIComponent(delivery)}/replay`, options);
  }

  /** Delivers an event as its provider does: raw bytes with the headers that sign them; no key is sent. */
  deliver(
    provider: Provider,
    id: string,
    bytes: string | Uint8Array<ArrayBuffer>,
    headers: Readonly<Record<string, string>>,
    options: CallOptions = {},
  ): Promise<InboundAnswer> {
    const raw = { type: 'application/json', bytes };
    return this.#transport.json('POST', `/v1/inbound/${provider}/${encodeURIComponent(id)}`, {
      ...options,
      raw,
      headers,
      open: true,
    });
  }

  #at(id: string): string {
    return `/v1/inbound-hooks/${encodeURIComponent(id)}`;
  }
}

export class Recipes {
  readonly #transport: Transport;
  constructor(transport: Transport) {
    this.#transport = transport;
  }

  create(body: z.input<typeof createRecipeSchema>, options: CreateOptions = {}): Promise<Recipe> {
    return this.#transport.json('POST', '/v1/recipes', { ...options, body });
  }

  list(options: PageOptions = {}): Pages<RecipeSummary> {
    return new Pages(this.#transport, '/v1/recipes', options);
  }

  /** The latest version unless one is named. */
  get(id: string, { version, ...options }: CallOptions & { version?: number } = {}): Promise<Recipe> {
    return this.#transport.json('GET', this.#at(id), { ...options, query: { version } });
  }

  /** Stores another version. */
  revise(id: string, body: z.input<typeof recipeBodySchema>, options: CreateOptions = {}): Promise<Recipe> {
    return this.#transport.json('POST', `${this.#at(id)}/versions`, { ...options, body });
  }

  delete(id: string, options: CallOptions = {}): Promise<void> {
    return this.#transport.nothing('DELETE', this.#at(id), options);
  }

  /** What a delivery would start, without starting it. */
  dryRun(id: string, body: z.input<typeof dryRunRequestSchema>, options: CallOptions = {}): Promise<DryRun> {
    return this.#transport.json('POST', `${this.#at(id)}/dry-runs`, { ...options, body });
  }

  #at(id: string): string {
    return `/v1/recipes/${encodeURIComponent(id)}`;
  }
}

export class Runs {
  readonly #transport: Transport;
  constructor(transport: Transport) {
    this.#transport = transport;
  }

  list(options: PageOptions & { hook?: string; recipe?: string; status?: RunStatus } = {}): Pages<RunSummary> {
    return new Pages(this.#transport, '/v1/runs', options);
  }

  get(id: string, options: CallOptions = {}): Promise<Run> {
    return this.#transport.json('GET', `/v1/runs/${encodeURIComponent(id)}`, options);
  }

  cancel(id: string, options: CallOptions = {}): Promise<Run> {
    return this.#transport.json('POST', `/v1/runs/${encodeURIComponent(id)}/cancel`, options);
  }

  /** Status and steps as they come, until the run has ended. */
  events(id: string, options: EventOptions = {}): AsyncGenerator<RunEvent, void, undefined> {
    const isLast = (event: RunEvent): boolean => event.event === 'status' && event.data.status !== 'running';
    return events(this.#transport, `/v1/runs/${encodeURIComponent(id)}/events`, isLast, withoutUndefined(options));
  }
}
