/** `verify -- compression DIR`: pruning and rounding of a layer and of an autoencoder against reference values. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { readSafetensors, type Safetensors } from '../../shared/formats/safetensors.ts';
import { toFloat64 } from '../../shared/formats/safetensors-values.ts';
import {
  Gram,
  hessianOf,
  lowest,
  type Mask,
  masked,
  Products,
  roundingSweep,
  roundToNearest,
  SaeNormSums,
  type SaeNorms,
  type SaeRule,
  saeMasks,
  scores,
  sparseSweep,
} from '../compression/index.ts';
import { Encoder, encodeActivations, reconstruct, type SaeParameters, type TrainedSae } from '../sae/index.ts';
import { type Device, Report } from './report.ts';

const layerCase = z.looseObject({
  error: z.number(),
  share: z.number().optional(),
  blocksize: z.number().int().positive().optional(),
  bits: z.number().int().positive().optional(),
  group: z.number().int().positive().nullish(),
  symmetric: z.boolean().optional(),
  act_order: z.boolean().optional(),
});
const layerSchema = z.looseObject({ percdamp: z.number().default(0.01), cases: z.record(z.string(), layerCase) });
const saeSchema = z.looseObject({
  kind: z.enum(['relu', 'topk']),
  k: z.number().int().positive().nullable(),
  cases: z.record(z.string(), z.looseObject({ share: z.number(), fvu: z.number() })),
});
type LayerCase = z.output<typeof layerCase>;

export async function compareCompression(dir: string, device: Device): Promise<Report> {
  const report = new Report('compression', dir, device);
  const products = new Products();
  const folders = readdirSync(dir, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  let found = 0;
  try {
    for (const prefix of ['', ...folders.map(({ name }) => `${name}/`).sort()]) {
      if (existsSync(join(dir, prefix, 'layer.json'))) {
        found++;
        await compareLayer(report, join(dir, prefix), prefix, products);
      }
      if (existsSync(join(dir, prefix, 'sae.json'))) {
        found++;
        await compareSae(report, join(dir, prefix), prefix, products);
      }
    }
  } finally {
    await products.release();
  }
  if (found === 0) {
    throw new Error(`there is neither layer.json nor sae.json in ${dir}`);
  }
  return report;
}

const readPair = (dir: string, name: string): [unknown, Safetensors] => [
  JSON.parse(readFileSync(join(dir, `${name}.json`), 'utf8')),
  readSafetensors(readFileSync(join(dir, `${name}.safetensors`))),
];

type Outcome = {
  values: Float32Array;
  scales?: Float32Array;
  zeros?: Float32Array;
  codes?: Int16Array;
  groupOf?: Int32Array;
  note?: string;
};

async function compareLayer(report: Report, dir: string, prefix: string, products: Products): Promise<void> {
  const [json, file] = readPair(dir, 'layer');
  const { cases, percdamp } = layerSchema.parse(json);
  const w = file.float32('W');
  const x = file.float32('X');
  const gram = new Gram(file.shape('W')[1]!);
  await gram.add(products, x);
  gram.finish();
  for (const [name, options] of Object.entries(cases)) {
    const key = `${prefix}layer/${name}`;
    const stored = file.float32(name);
    let outcome: Outcome;
    try {
      outcome = await outcomeOf(name, options, w, gram, percdamp, products);
    } catch (error) {
      report.failed(key, 1e-5, (error as Error).message);
      report.exact(`${key}.mask`, false);
      continue;
    }
    report.item(key, outcome.values, stored, 1e-5);
    report.item(`${key}.error`, [outputError(w, outcome.values, x, gram.size)], [options.error], 1e-4);
    report.exact(
      `${key}.mask`,
      outcome.values.every((value, i) => (value === 0) === (stored[i] === 0)),
    );
    if (outcome.note) {
      report.note(key, outcome.note);
    }
    const has = (part: string) => file.header.tensors.has(`${name}.${part}`);
    const same = (part: string, ours: ArrayLike<number> | undefined) => {
      if (!has(part)) {
        return;
      }
      const entry = file.header.tensors.get(`${name}.${part}`)!;
      const wanted = toFloat64(file.bytes(entry.name), entry.dtype);
      report.exact(`${key}.${part}`, ours?.length === wanted.length && wanted.every((value, i) => value === ours[i]));
    };
    if (has('scale')) {
      report.item(`${key}.scale`, outcome.scales ?? [], file.float32(`${name}.scale`), 1e-5);
    }
    same('zero', outcome.zeros);
    same('codes', outcome.codes);
    same('g_idx', outcome.groupOf);
  }
}

/** Sum of (X (W - W')^T)^2 in double precision. */
function outputError(w: Float32Array, changed: Float32Array, x: Float32Array, inputs: number): number {
  const difference = Float64Array.from(w, (value, i) => value - changed[i]!);
  let total = 0;
  for (let row = 0; row < w.length; row += inputs) {
    for (let token = 0; token < x.length; token += inputs) {
      let sum = 0;
      for (let j = 0; j < inputs; j++) {
        sum += difference[row + j]! * x[token + j]!;
      }
      total += sum * sum;
    }
  }
  return total;
}

async function outcomeOf(
  name: string,
  { share = 0, blocksize, bits = 4, group = null, symmetric = false, act_order: byDiagonal = false }: LayerCase,
  w: Float32Array,
  gram: Gram,
  damping: number,
  products: Products,
): Promise<Outcome> {
  const inputs = gram.size;
  const nOfM = /(?:^|_)(\d+)of(\d+)$/.exec(name);
  const pattern = nOfM ? { n: Number(nOfM[1]), m: Number(nOfM[2]) } : undefined;
  const blockSize = blocksize ?? 128;
  const method = name.split(/[_\d]/)[0];
  switch (method) {
    case 'magnitude':
    case 'wanda': {
      const comparison = pattern ?? (method === 'wanda' || name.startsWith('magnitude_row') ? 'row' : 'matrix');
      const norms = method === 'wanda' ? gram.norms() : null;
      return { values: masked(w, lowest(scores(w, inputs, norms), inputs, share, comparison)) };
    }
    case 'sparsegpt': {
      const rule = name.startsWith('sparsegpt_exact') ? 'exact' : 'reference';
      const values = await sparseSweep(products, w, await hessianOf(products, gram, { damping }), {
        share,
        pattern,
        blockSize,
        rule,
      });
      const note = rule === 'exact' ? 'exactly floor(share * count) per block' : 'all scores up to the threshold';
      return { values, ...(!pattern && { note }) };
    }
    case 'rtn':
      return roundToNearest(w, inputs, { kind: symmetric ? 'symmetric' : 'asymmetric', bits, group });
    case 'gptq': {
      const hessian = await hessianOf(products, gram, { damping, byDiagonal });
      const kind = symmetric ? 'centred' : 'asymmetric';
      return roundingSweep(products, w, hessian, { kind, bits, group, blockSize });
    }
    default:
      throw new Error(`'${name}' is not a method that is known here`);
  }
}

const RULES: [RegExp, SaeRule][] = [
  [/^a_/, 'canonical'],
  [/^b_/, 'output_norms'],
  [/^magnitude_matrix_/, 'magnitude_matrix'],
  [/^magnitude_latent_/, 'magnitude_latent'],
];

async function compareSae(report: Report, dir: string, prefix: string, products: Products): Promise<void> {
  const [json, file] = readPair(dir, 'sae');
  const { kind, k, cases } = saeSchema.parse(json);
  const [inputs, width] = file.shape('w_enc') as [number, number];
  const parameters: SaeParameters = {
    inputs,
    width,
    encoder: transposed(file.float32('w_enc'), inputs, width),
    encoderBias: file.float32('b_enc'),
    decoder: file.float32('w_dec'),
    decoderBias: file.float32('b_dec'),
    threshold: null,
  };
  const sae: TrainedSae = { variant: kind, k, subtractBias: false, parameters };
  const encoder = new Encoder();
  const x = file.float32('x');
  const sums = new SaeNormSums(sae);
  report.item(`${prefix}sae/x_hat`, await sums.add(x, encoder, products), file.float32('x_hat'), 1e-5);
  const norms = sums.norms();
  const named: [string, keyof SaeNorms][] = [
    ['norm_x', 'x'],
    ['norm_pre', 'pre'],
    ['norm_z', 'codes'],
    ['norm_x_hat', 'reconstruction'],
  ];
  for (const [name, part] of named) {
    report.item(`${prefix}sae/${name}`, norms[part], file.float32(name), 1e-5);
  }
  for (const [name, { share, fvu }] of Object.entries(cases)) {
    const key = `${prefix}sae/${name}`;
    const rule = RULES.find(([pattern]) => pattern.test(name))?.[1];
    if (!rule) {
      report.failed(`${key}.x_hat`, 1e-5, `'${name}' is not a rule that is known here`);
      continue;
    }
    const masks = saeMasks(parameters, share, rule, norms);
    const pruned = {
      ...parameters,
      encoder: masked(parameters.encoder, masks.encoder),
      decoder: masked(parameters.decoder, masks.decoder),
    };
    const used = { ...sae, parameters: pruned };
    const out = reconstruct(used, await encodeActivations(used, x, encoder));
    const stored = file.float32(`${name}.x_hat`);
    report.item(`${key}.x_hat`, out.subarray(0, stored.length), stored, 1e-5);
    report.item(`${key}.fvu`, [unexplained(x, out, inputs)], [fvu], 1e-4);
    const same = (mask: Mask, wanted: Float32Array) => wanted.every((value, i) => (value === 0) === (mask[i] === 1));
    report.exact(
      `${key}.mask`,
      same(masks.encoder, transposed(file.float32(`${name}.w_enc`), inputs, width)) &&
        same(masks.decoder, file.float32(`${name}.w_dec`)),
    );
  }
}

function transposed(values: Float32Array, rows: number, columns: number): Float32Array {
  return Float32Array.from(values, (_, i) => values[(i % rows) * columns + Math.floor(i / rows)]!);
}

/** Sum of squared residuals over that of the deviations from the mean. */
function unexplained(x: Float32Array, out: Float32Array, inputs: number): number {
  const mean = new Float64Array(inputs);
  for (let i = 0; i < x.length; i++) {
    mean[i % inputs]! += (x[i]! * inputs) / x.length;
  }
  let [residual, variance] = [0, 0];
  for (let i = 0; i < x.length; i++) {
    residual += (x[i]! - out[i]!) ** 2;
    variance += (x[i]! - mean[i % inputs]!) ** 2;
  }
  return residual / variance;
}
