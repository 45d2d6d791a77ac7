/** The files of a denoising model: `config.json` says what it is, `model.safetensors` holds the network's weights. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { SextantError } from '../../../shared/contracts/problem.ts';
import { floatTensor, readSafetensors, writeSafetensors } from '../../../shared/formats/safetensors.ts';
import { GATE_FEATURES, GATE_HIDDEN, PARTS } from '../denoise/gate.ts';
import type { Weights } from '../denoise/network-session.ts';
import { networkSchema, readNetwork } from '../network/configuration.ts';

export const CONFIG_FILE = 'config.json';
export const WEIGHTS_FILE = 'model.safetensors';
export const ECG_FAMILY = 'ecg-u-transformer';

const coefficients = z.array(z.number()).length(GATE_FEATURES);
const range = z.tuple([z.number(), z.number()]);
const ecgDocumentSchema = z.object({
  model_type: z.literal(ECG_FAMILY),
  task: z.literal('ecg'),
  network: networkSchema,
  gate: z.object({
    hidden: z.array(coefficients).length(GATE_HIDDEN),
    shares: z.array(z.array(z.number()).length(GATE_HIDDEN + 1)).length(PARTS - 1),
  }),
  estimates: z.object({ before: coefficients, after: coefficients }),
  training_range: z.object({ amplitude: range, rate: range, drift: range, muscle: range }).nullable(),
  /** What a reader should know: data, split, figures, limits. */
  card: z.record(z.string(), z.unknown()),
});
export type EcgDocument = z.infer<typeof ecgDocumentSchema>;
export type EcgModel = { document: EcgDocument; weights: Weights };

/** The model that ships with the worker. */
export const SHIPPED_MODEL: string = join(import.meta.dirname, 'shipped');

/** @throws SextantError `model_unsupported` for a model of another kind, `weights_invalid` for broken files */
export async function readEcgModel(config: string, weights: string): Promise<EcgModel> {
  const json = JSON.parse(await readFile(config, 'utf8')) as { model_type?: unknown };
  const parsed = ecgDocumentSchema.safeParse(json);
  if (!parsed.success) {
    throw new SextantError(
      'model_unsupported',
      json.model_type === ECG_FAMILY
        ? `config.json: ${parsed.error.issues[0]!.path.join('.')} ${parsed.error.issues[0]!.message}`
        : `this is a model of the kind '${String(json.model_type)}'; ecg.denoise takes one that ecg.train made`,
    );
  }
  readNetwork(parsed.data.network);
  const file = readSafetensors(await readFile(weights));
  const tensors = [...file.header.tensors.keys()].map((name) => [
    name,
    { shape: file.shape(name), data: file.float32(name) },
  ]);
  return { document: parsed.data, weights: Object.fromEntries(tensors) as Weights };
}

/** Writes both files into a folder that is there. */
export async function writeEcgModel(folder: string, { document, weights }: EcgModel): Promise<void> {
  await writeFile(join(folder, CONFIG_FILE), `${JSON.stringify(document, null, 2)}\n`);
  const tensors = Object.entries(weights).map(([name, { shape, data }]) => floatTensor(name, shape, data));
  await writeFile(join(folder, WEIGHTS_FILE), writeSafetensors(tensors, { format: 'sextant-ecg' }));
}

export const parameterCount = (weights: Weights): number =>
  Object.values(weights).reduce((sum, { data }) => sum + data.length, 0);
