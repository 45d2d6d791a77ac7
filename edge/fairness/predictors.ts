/** Predictors in the index of published results: registered by a client or published by a job, compiled once per isolate. */

import type { Manifest } from '../../shared/contracts/manifest.ts';
import { SextantError } from '../../shared/contracts/problem.ts';
import { compilePredictor } from '../../shared/fairness/predictors/compile.ts';
import type { CompiledPredictor } from '../../shared/fairness/predictors/compiled.ts';
import { type PredictorDocument, predictorDocumentSchema } from '../../shared/fairness/predictors/document.ts';
import { PREDICTOR_BLOB, predictorBody } from '../../shared/fairness/predictors/manifest.ts';
import { blobKey } from '../artefacts/addresses.ts';
import { BoundedMap } from '../bounded-map.ts';
import type { Env } from '../environment.ts';
import { identifyResults, publishStatements } from '../published/index-rows.ts';
import { type PublishedResult, readPublished } from '../published/reading.ts';

/** A manifest lies in one row of D1; above this, the document has to come as a job's blob. */
const DOCUMENT_LIMIT = 900_000;
/** The jobs that fit predictors of each kind, and publish them in blobs. */
const FITTED_BY: Readonly<Record<PredictorDocument['kind'], string>> = {
  network: 'fairness.edit_layer',
  gated: 'fairness.fit_gated',
  group_thresholds: 'fairness.correct',
  lookahead: 'fairness.fit_lookahead',
  lookahead_multiplicative: 'fairness.fit_lookahead',
  lookahead_latent: 'fairness.fit_lookahead',
};
/** What to do with a document that is too large to be registered. */
export const FIT_INSTEAD = `no job registers a document; one that fits a predictor publishes it whatever its size, and fairness.predict runs it: ${Object.entries(
  FITTED_BY,
)
  .map(([kind, type]) => `${type} (${kind})`)
  .join(', ')}`;
/** A predictor's blob larger than this is not loaded at the edge. */
const BLOB_LIMIT = 8 * 1024 * 1024;

/** Registers a checked document; the same document has the same id however often it is sent. */
export async function registerPredictor(
  env: Env,
  tenant: string,
  document: PredictorDocument,
  now: number,
): Promise<PublishedResult> {
  const compiled = compilePredictor(document);
  const size = JSON.stringify(document).length;
  if (size > DOCUMENT_LIMIT) {
    const job_type = FITTED_BY[document.kind];
    throw new SextantError(
      'body_too_large',
      `the predictor is ${size} characters of JSON, at most ${DOCUMENT_LIMIT} are registered directly; fit it by a job of type ${job_type}, which publishes it whatever its size, and predict by fairness.predict`,
      { details: { job_type } },
    );
  }
  const manifest: Manifest = {
    kind: 'predictor',
    schema: 1,
    method: `registered_${document.kind}`,
    params: {},
    seed: null,
    model: null,
    model_digest: null,
    hook: null,
    data_digest: null,
    blobs: [],
    body: { ...predictorBody(compiled), document },
  };
  const [result] = await identifyResults(env, tenant, [manifest]);
  await env.DB.batch(publishStatements(env, { tenant, job: null, published: [result!], created: now }));
  return readPublished(env, tenant, 'predictor', result!.id);
}

const LOADED_LIMIT = 32;
const loaded = new BoundedMap<string, CompiledPredictor>(LOADED_LIMIT);

/** The compiled predictor of a published result that the caller may read. The cache is by content, so it never outlives its meaning. */
export async function loadPredictor(env: Env, result: PublishedResult): Promise<CompiledPredictor> {
  const held = loaded.get(result.id);
  if (held) {
    return held;
  }
  const compiled = compilePredictor(predictorDocumentSchema.parse(await documentOf(env, result)));
  loaded.set(result.id, compiled);
  return compiled;
}

async function documentOf(env: Env, { tenant, manifest }: PublishedResult): Promise<unknown> {
  if (manifest.body.document !== undefined) {
    return manifest.body.document;
  }
  const blob = manifest.blobs.find(({ name }) => name === PREDICTOR_BLOB);
  if (!blob) {
    throw new SextantError('conflict', 'the predictor holds no document that the edge could run');
  }
  if (blob.bytes > BLOB_LIMIT) {
    throw new SextantError(
      'computation_too_large',
      'the predictor is too large for the edge; create a job of type fairness.predict instead',
      {
        details: { job_type: 'fairness.predict' },
      },
    );
  }
  const object = await env.R2.get(blobKey(tenant, blob.sha256));
  if (!object) {
    throw new SextantError('artefact_missing', "the predictor's bytes are not stored");
  }
  return JSON.parse(await object.text());
}
