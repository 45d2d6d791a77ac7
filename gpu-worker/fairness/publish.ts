/** Predictors and reports as published results. */

import type { Blob, Manifest } from '../../shared/contracts/manifest.ts';
import { SextantError } from '../../shared/contracts/problem.ts';
import { compilePredictor } from '../../shared/fairness/predictors/compile.ts';
import {
  NETWORK_LIMITS,
  type NetworkDocument,
  type PredictorDocument,
} from '../../shared/fairness/predictors/document.ts';
import type { InputEncoding } from '../../shared/fairness/predictors/input.ts';
import { PREDICTOR_BLOB, predictorBody } from '../../shared/fairness/predictors/manifest.ts';
import type { DenseNetwork } from '../../shared/fairness/predictors/network.ts';
import { manifestId } from '../../shared/signing/digest.ts';
import { manifestOf } from '../study/index.ts';

type Register = (name: string, mediaType: string, content: Uint8Array) => Promise<Blob>;
type Origin = { method: string; params: Record<string, unknown>; seed: number | null; dataDigest: string };

/** A predictor as a published result: its document is a blob, so that wide networks fit too. */
export async function publishedPredictor(
  document: PredictorDocument,
  origin: Origin,
  register: Register,
): Promise<{ id: string; manifest: Manifest }> {
  const blob = await register(PREDICTOR_BLOB, 'application/json', new TextEncoder().encode(JSON.stringify(document)));
  return manifested('predictor', origin, [blob], predictorBody(compilePredictor(document)));
}

/** A report as a published result: `body` is what the API shows of it, the rest lies in blobs. */
export const publishedReport = (origin: Origin, blobs: Blob[], body: Record<string, unknown>) =>
  manifested('report', origin, blobs, body);

async function manifested(kind: 'predictor' | 'report', origin: Origin, blobs: Blob[], body: Record<string, unknown>) {
  const manifest = manifestOf({
    kind,
    method: origin.method,
    params: origin.params,
    seed: origin.seed,
    model: null,
    model_digest: null,
    hook: null,
    data_digest: origin.dataDigest,
    blobs,
    body,
  });
  return { id: await manifestId(manifest), manifest };
}

/** Refuses a network that no predictor document holds, before anything is computed with it. Raises `data_invalid`. */
export function requirePublishable(network: DenseNetwork): void {
  const { layers, outputs, inputs } = NETWORK_LIMITS;
  if (network.length < 2 || network.length > layers) {
    throw new SextantError('data_invalid', `the network has ${network.length} layers; 2 to ${layers} can be edited`);
  }
  const wide = network.find((layer) => layer.outputs > outputs || layer.inputs > inputs);
  if (wide) {
    throw new SextantError(
      'data_invalid',
      `the network has a layer of ${wide.outputs} x ${wide.inputs}; at most ${outputs} x ${inputs} are published`,
    );
  }
}

export const networkDocument = (network: DenseNetwork, inputs: InputEncoding[]): NetworkDocument => ({
  kind: 'network',
  inputs,
  layers: network.map(({ inputs: d, outputs, weights, bias, activation }) => ({
    weights: Array.from({ length: outputs }, (_, o) => Array.from(weights.subarray(o * d, (o + 1) * d))),
    bias: [...bias],
    activation,
  })),
});
