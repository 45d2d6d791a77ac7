/** What jobs publish: SAEs, models, reports, predictors; and small computations with predictors that need no job. */
import type { z } from 'zod';
import type { inlineRecordSchema } from '../../../shared/contracts/ecg-record.ts';
import type { Job } from '../../../shared/contracts/job.ts';
import type { LATENT_SORTS, Latent, latentSummarySchema } from '../../../shared/contracts/latent.ts';
import type { predictorSchema, reportSchema, saeSchema } from '../../../shared/contracts/manifest.ts';
import type { modelSchema } from '../../../shared/contracts/model.ts';
import type { predictionsSchema, predictionTableSchema } from '../../../shared/contracts/predictor.ts';
import type { auditRequestSchema, auditSchema } from '../../../shared/fairness/audit/request.ts';
import type { correctionSchema } from '../../../shared/fairness/corrections/document.ts';
import type { predictorDocumentSchema } from '../../../shared/fairness/predictors/document.ts';
import { type PageOptions, Pages } from '../pages.ts';
import type { CallOptions, CreateOptions, Transport } from '../transport.ts';
import { preferring } from './jobs.ts';

export type Sae = z.output<typeof saeSchema>;
export type Model = z.output<typeof modelSchema>;
export type Report = z.output<typeof reportSchema>;
export type Predictor = z.output<typeof predictorSchema>;
export type Predictions = z.output<typeof predictionsSchema>;
export type Audit = z.output<typeof auditSchema>;
export type LatentSummary = z.output<typeof latentSummarySchema>;

export class Saes {
  readonly #transport: Transport;
  constructor(transport: Transport) {
    this.#transport = transport;
  }

  list(options: PageOptions & { model?: string; hook?: string } = {}): Pages<Sae> {
    return new Pages(this.#transport, '/v1/saes', options);
  }

  get(id: string, options: CallOptions = {}): Promise<Sae> {
    return this.#transport.json('GET', `/v1/saes/${encodeURIComponent(id)}`, options);
  }

  delete(id: string, options: CallOptions = {}): Promise<void> {
    return this.#transport.nothing('DELETE', `/v1/saes/${encodeURIComponent(id)}`, options);
  }

  latents(id: string, options: PageOptions & { sort?: (typeof LATENT_SORTS)[number] } = {}): Pages<LatentSummary> {
    return new Pages(this.#transport, `/v1/saes/${encodeURIComponent(id)}/latents`, options);
  }

  latent(id: string, latent: number, options: CallOptions = {}): Promise<Latent> {
    return this.#transport.json('GET', `/v1/saes/${encodeURIComponent(id)}/latents/${latent}`, options);
  }
}

export class Models {
  readonly #transport: Transport;
  constructor(transport: Transport) {
    this.#transport = transport;
  }

  list(options: PageOptions = {}): Pages<Model> {
    return new Pages(this.#transport, '/v1/models', options);
  }

  /** `key`: a `mdl_` id, `local:alias` or `hub:name:repository@revision`. */
  get(key: string, options: CallOptions = {}): Promise<Model> {
    return this.#transport.json('GET', `/v1/models/${encodeURIComponent(key)}`, options);
  }

  delete(key: string, options: CallOptions = {}): Promise<void> {
    return this.#transport.nothing('DELETE', `/v1/models/${encodeURIComponent(key)}`, options);
  }

  /** A file of a published model, its body unread. */
  file(id: string, name: string, options: CallOptions = {}): Promise<Response> {
    const path = `/v1/models/${encodeURIComponent(id)}/files/${encodeURIComponent(name)}`;
    return this.#transport.response('GET', path, options);
  }
}

export class Reports {
  readonly #transport: Transport;
  constructor(transport: Transport) {
    this.#transport = transport;
  }

  get(id: string, options: CallOptions = {}): Promise<Report> {
    return this.#transport.json('GET', `/v1/reports/${encodeURIComponent(id)}`, options);
  }

  delete(id: string, options: CallOptions = {}): Promise<void> {
    return this.#transport.nothing('DELETE', `/v1/reports/${encodeURIComponent(id)}`, options);
  }
}

export class Fairness {
  readonly #transport: Transport;
  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Measures how a predictor treats groups; nothing is stored. */
  audit(request: z.input<typeof auditRequestSchema>, options: CallOptions = {}): Promise<Audit> {
    return this.#transport.json('POST', '/v1/fairness/audits', { ...options, body: request });
  }

  /** Corrects a head, a layer or scores in closed form. */
  correct(correction: z.input<typeof correctionSchema>, options: CallOptions = {}): Promise<Record<string, unknown>> {
    return this.#transport.json('POST', '/v1/fairness/corrections', { ...options, body: correction });
  }

  /** Registers an immutable predictor; again changes nothing. */
  createPredictor(document: z.input<typeof predictorDocumentSchema>, options: CallOptions = {}): Promise<Predictor> {
    return this.#transport.json('POST', '/v1/fairness/predictors', { ...options, body: document });
  }

  predictor(id: string, options: CallOptions = {}): Promise<Predictor> {
    return this.#transport.json('GET', `/v1/fairness/predictors/${encodeURIComponent(id)}`, options);
  }

  deletePredictor(id: string, options: CallOptions = {}): Promise<void> {
    return this.#transport.nothing('DELETE', `/v1/fairness/predictors/${encodeURIComponent(id)}`, options);
  }

  /** Scores of the rows of a small table: cells by column, or CSV as text. */
  predict(
    id: string,
    table: z.input<typeof predictionTableSchema> | string,
    { delimiter, ...options }: CallOptions & { delimiter?: string } = {},
  ): Promise<Predictions> {
    return this.#transport.json('POST', `/v1/fairness/predictors/${encodeURIComponent(id)}/predictions`, {
      ...options,
      headers: { accept: 'application/json' },
      query: { delimiter },
      ...(typeof table === 'string' ? { raw: { type: 'text/csv', bytes: table } } : { body: table }),
    });
  }
}

export class Ecg {
  readonly #transport: Transport;
  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Removes noise from a short recording; answers the job, ended where it ends within `waitS` seconds. */
  denoise(
    record: z.input<typeof inlineRecordSchema>,
    { waitS, ...options }: CreateOptions & { waitS?: number } = {},
  ): Promise<Job> {
    return this.#transport.json('POST', '/v1/ecg/denoisings', {
      ...options,
      body: record,
      headers: preferring(waitS),
    });
  }
}
