/** The network that is to be edited: trained here, read from a file, or a published predictor's. */
import { readFile } from 'node:fs/promises';
import { SextantError } from '../../../shared/contracts/problem.ts';
import { networkOf } from '../../../shared/fairness/predictors/compile.ts';
import { predictorDocumentSchema } from '../../../shared/fairness/predictors/document.ts';
import { featureCount } from '../../../shared/fairness/predictors/encode.ts';
import type { InputEncoding } from '../../../shared/fairness/predictors/input.ts';
import { PREDICTOR_BLOB } from '../../../shared/fairness/predictors/manifest.ts';
import type { DenseNetwork } from '../../../shared/fairness/predictors/network.ts';
import type { ParamsOf } from '../../../shared/jobs/contract.ts';
import type contract from '../../../shared/jobs/fairness.edit_layer.ts';
import type { ProviderRequest } from '../../runtime/index.ts';
import { requirePublishable } from '../publish.ts';
import type { Rows } from '../rows.ts';
import { importNetwork } from './network-import.ts';
import { trainNetwork } from './network-training.ts';
import { importOnnxNetwork } from './onnx-import.ts';
import { inTargetUnits, standardised, targetScale } from './target-scale.ts';

type NetworkParams = ParamsOf<typeof contract>['network'];
type StoredPredictor = {
  manifest: { body: Record<string, unknown> } | null;
  blobs: readonly { name: string }[];
  file(name: string): Promise<string>;
};
export type NetworkSource = {
  input(id: string): StoredPredictor;
  configuration: { threads: number; device: ProviderRequest };
  onEpoch(epoch: number, loss: number): void;
};

export type PublishedNetwork = { network: DenseNetwork; inputs: InputEncoding[] };

/** The inputs of the published predictor that is to be edited; null where the table's features are learned. */
export async function publishedNetwork(
  how: NetworkParams,
  { input }: Pick<NetworkSource, 'input'>,
): Promise<PublishedNetwork | null> {
  if (!('predictor' in how)) {
    return null;
  }
  const stored = input(how.predictor);
  const document = predictorDocumentSchema.parse(
    stored.manifest?.body.document ?? JSON.parse(await readFile(await stored.file(PREDICTOR_BLOB), 'utf8')),
  );
  if (document.kind !== 'network') {
    throw new SextantError('data_invalid', `${how.predictor} is a ${document.kind} predictor; a network is needed`);
  }
  return { network: networkOf(document), inputs: document.inputs };
}

/** A network for these inputs, trained on `train` or read from a file. Raises `data_invalid`, `input_not_found`. */
export async function networkFor(
  how: NetworkParams,
  inputs: InputEncoding[],
  train: Rows,
  seed: number,
  { input, configuration, onEpoch }: NetworkSource,
): Promise<{ network: DenseNetwork; device: string }> {
  if ('hidden' in how) {
    const scale = targetScale(train.y);
    const { network, device } = await trainNetwork(
      { ...train, y: standardised(train.y, scale) },
      {
        hidden: how.hidden,
        epochs: how.epochs,
        batch: how.batch,
        rate: how.learning_rate,
        decay: how.decay,
        seed,
        threads: configuration.threads,
        provider: configuration.device,
        onEpoch,
      },
    );
    return { network: inTargetUnits(network, scale), device };
  }
  if ('predictor' in how) {
    throw new RangeError('a published predictor brings its own inputs');
  }
  const id = 'onnx' in how ? how.onnx : how.safetensors;
  const file = input(id);
  const blob = file.blobs[0];
  if (!blob) {
    throw new SextantError('input_not_found', `the artefact ${id} has no bytes`);
  }
  const bytes = new Uint8Array(await readFile(await file.file(blob.name)));
  const network = 'onnx' in how ? importOnnxNetwork(bytes) : importNetwork(bytes);
  requirePublishable(network);
  const width = network[0]?.inputs;
  if (width !== featureCount(inputs)) {
    throw new SextantError(
      'data_invalid',
      `the network takes ${width} features, the table gives ${featureCount(inputs)}`,
    );
  }
  return { network, device: 'cpu' };
}
