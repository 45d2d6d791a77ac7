/** The client: one object per service and key, with the API's resources as its properties. */
import { Artefacts } from './resources/artefacts.ts';
import { Generations } from './resources/generations.ts';
import { InboundHooks, Recipes, Runs, WebhookEndpoints, WebhookSecret } from './resources/hooks.ts';
import { Jobs } from './resources/jobs.ts';
import { Ecg, Fairness, Models, Reports, Saes } from './resources/results.ts';
import { Keys, Service, Tenant } from './resources/tenant.ts';
import { VectorNames, Vectors } from './resources/vectors.ts';
import { type SextantOptions, Transport } from './transport.ts';

/**
 * ```ts
 * const sextant = new Sextant({ url: 'https://sextant.example', key: process.env.SEXTANT_KEY });
 * const { saes } = await sextant.jobs.run('sae.train', { model, hook: 'resid_post.1', saes: [{ variant: 'abstopk' }] });
 * ```
 */
export class Sextant {
  readonly url: string;
  readonly jobs: Jobs;
  readonly artefacts: Artefacts;
  readonly vectors: Vectors;
  readonly vectorNames: VectorNames;
  readonly saes: Saes;
  readonly models: Models;
  readonly reports: Reports;
  readonly fairness: Fairness;
  readonly ecg: Ecg;
  readonly generations: Generations;
  readonly webhookEndpoints: WebhookEndpoints;
  readonly webhookSecret: WebhookSecret;
  readonly inboundHooks: InboundHooks;
  readonly recipes: Recipes;
  readonly runs: Runs;
  readonly keys: Keys;
  readonly tenant: Tenant;
  readonly service: Service;

  /** @throws TypeError for an address that is none */
  constructor(options: SextantOptions) {
    const transport = new Transport(options);
    this.url = transport.url;
    this.jobs = new Jobs(transport);
    this.artefacts = new Artefacts(transport);
    this.vectors = new Vectors(transport);
    this.vectorNames = new VectorNames(transport);
    this.saes = new Saes(transport);
    this.models = new Models(transport);
    this.reports = new Reports(transport);
    this.fairness = new Fairness(transport);
    this.ecg = new Ecg(transport);
    this.generations = new Generations(transport);
    this.webhookEndpoints = new WebhookEndpoints(transport);
    this.webhookSecret = new WebhookSecret(transport);
    this.inboundHooks = new InboundHooks(transport);
    this.recipes = new Recipes(transport);
    this.runs = new Runs(transport);
    this.keys = new Keys(transport);
    this.tenant = new Tenant(transport);
    this.service = new Service(transport);
  }
}
