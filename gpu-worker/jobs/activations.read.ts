/** Handler of `activations.read`: the rows that `activations.extract` makes of the same texts, and views of the same passes. */

import { writeSafetensors } from '../../shared/formats/safetensors.ts';
import contract, { ACTIVATIONS_FILE, patternTensor } from '../../shared/jobs/activations.read.ts';
import type { ParamsOf, ResultOf } from '../../shared/jobs/contract.ts';
import { joined } from '../../shared/math/joined.ts';
import { activations, type LanguageModel, tokenText } from '../lm/index.ts';
import { Encoder, encodeActivations, reconstruct, tokenCodes } from '../sae/index.ts';
import { handle, type JobContext } from './handler.ts';
import { openCorpus } from './inputs/corpus-input.ts';
import { type OpenedModel, openModel } from './inputs/model-input.ts';
import { encodeTexts } from './inputs/tokens.ts';
import { logitLens } from './outputs/logit-lens.ts';
import { openSae } from './outputs/sae-artefact.ts';

type Params = ParamsOf<typeof contract>;
type Result = ResultOf<typeof contract>;
type Place = { document: number; position: number; token: number };
type Tensor = { name: string; dtype: 'F32' | 'I32'; shape: number[]; bytes: Uint8Array };

const bytesOf = (values: Float32Array | Int32Array): Uint8Array =>
  new Uint8Array(values.buffer, values.byteOffset, values.byteLength);

export default handle(contract, async (context) => {
  const { params } = context;
  const opened = await openModel(context, params.model);
  const { model } = opened;
  try {
    const read = await readRows(context, opened);
    const text = tokenText(model);
    const prompts = encodeTexts(model, params.prompts, '/prompts');
    const wanted = (place: Place) => isWanted(place, params.positions, prompts[place.document]?.length ?? 0);
    const kept = read.places.flatMap((place, row) => (wanted(place) ? [row] : []));
    const places = kept.map((row) => read.places[row]!);
    const patterns = await patternTensors(model, prompts, params.patterns);
    const tensors: Tensor[] = [
      int32(
        'token_ids',
        places.map(({ token }) => token),
      ),
      int32(
        'documents',
        places.map(({ document }) => document),
      ),
      int32(
        'positions',
        places.map(({ position }) => position),
      ),
      ...Object.entries(read.widths).map(([hook, width]): Tensor => {
        const values = rowsOf(read.values[hook]!, width, kept);
        return { name: hook, dtype: 'F32', shape: [kept.length, width], bytes: bytesOf(values) };
      }),
      ...patterns.map(({ tensor }) => tensor),
    ];
    await context.artefact(ACTIVATIONS_FILE, 'application/octet-stream', writeSafetensors(tensors));
    const result: Result = {
      rows: places.map((place) => ({ ...place, text: text(place.token) })),
      hooks: read.widths,
      codes: read.codes && kept.map((row) => read.codes![row]!),
      lens: params.logit_lens ? (await logitLens(model, prompts, params.logit_lens.top)).filter(wanted) : null,
      patterns: patterns.map(({ tensor, layer, document }) => ({ document, layer, tensor: tensor.name })),
      data_digest: read.digest,
      mismatch: read.mismatch,
    };
    return {
      result,
      published: [],
      metrics: {},
      run: { device: opened.provider, dtype: 'float32', seed: null, tolerance: null },
    };
  } finally {
    await model.release();
  }
});

const int32 = (name: string, values: number[]): Tensor => ({
  name,
  dtype: 'I32',
  shape: [values.length],
  bytes: bytesOf(Int32Array.from(values)),
});

function rowsOf(values: Float32Array, width: number, rows: readonly number[]): Float32Array {
  const kept = new Float32Array(rows.length * width);
  for (const [i, row] of rows.entries()) {
    kept.set(values.subarray(row * width, (row + 1) * width), i * width);
  }
  return kept;
}

function isWanted({ position }: Place, positions: Params['positions'], length: number): boolean {
  if (positions === 'all') {
    return true;
  }
  return positions === 'last'
    ? position === length - 1
    : positions.some((at) => (at < 0 ? at + length : at) === position);
}

type Read = {
  places: Place[];
  widths: Record<string, number>;
  values: Record<string, Float32Array>;
  codes: NonNullable<Result['codes']> | null;
  digest: string;
  mismatch: string[];
};

/** All rows of the prompts, read as `activations.extract` reads documents. */
async function readRows(context: JobContext<Params>, opened: OpenedModel): Promise<Read> {
  const { params } = context;
  const { model } = opened;
  const { allow_mismatch: allowMismatch, strongest } = params;
  const sae = params.sae === null ? null : await openSae(context, params.sae, opened, { allowMismatch });
  const encoder = sae && new Encoder({ threads: context.configuration.threads, spinning: false });
  const corpus = await openCorpus(context, { texts: [...params.prompts] }, model, opened.digest);
  const { context: length } = model.architecture;
  const use = { split: 'all', packing: 'documents', length, limit: Number.POSITIVE_INFINITY, as: 'rows' } as const;
  const hooks = [...new Set([...params.hooks, ...(sae ? [sae.hook] : [])])];
  const places: Place[] = [];
  const parts = new Map<string, Float32Array[]>(hooks.map((hook) => [hook, []]));
  const codes: NonNullable<Result['codes']> = [];
  // without a hook the places are still those of the rows
  const taps = hooks.length > 0 ? hooks : ['resid_post.0'];
  try {
    for await (const block of activations(model, corpus.read(use), { hooks: taps, batch: params.prompts.length })) {
      for (const [row, token] of block.tokens.entries()) {
        places.push({ document: block.documents[row] ?? 0, position: block.places[row] ?? 0, token });
      }
      for (const hook of hooks) {
        parts.get(hook)?.push(block.values[hook] ?? new Float32Array());
      }
      if (sae && encoder) {
        const x = block.values[sae.hook] ?? new Float32Array();
        const encoded = await encodeActivations(sae.sae, x, encoder);
        const of = { x, hat: reconstruct(sae.sae, encoded), inputs: sae.sae.parameters.inputs, strongest };
        const before = places.length - block.count;
        for (let row = 0; row < block.count; row++) {
          codes.push({ ...places[before + row]!, ...tokenCodes(encoded, row, of) });
        }
      }
    }
  } finally {
    await encoder?.release();
  }
  const widths = Object.fromEntries(params.hooks.map((hook) => [hook, model.widthAt(hook) ?? 0]));
  const values = Object.fromEntries([...parts].map(([hook, some]) => [hook, joined(some)]));
  const digest = corpus.digest;
  return { places, widths, values, codes: sae ? codes : null, digest, mismatch: sae?.mismatch ?? [] };
}

/** Attention patterns of whole prompts, one pass for each: they would be padded together otherwise. */
async function patternTensors(
  model: LanguageModel,
  prompts: readonly number[][],
  layers: readonly number[],
): Promise<{ tensor: Tensor; layer: number; document: number }[]> {
  if (layers.length === 0) {
    return [];
  }
  const found = [];
  for (const [document, ids] of prompts.entries()) {
    const hooks = layers.map((layer) => `attn_pattern.${layer}`);
    const { taps } = await model.forward({ ids: [ids], taps: hooks, logits: 'none' });
    for (const layer of layers) {
      const { data, shape } = taps[`attn_pattern.${layer}`]!;
      const tensor: Tensor = {
        name: patternTensor(layer, document),
        dtype: 'F32',
        shape: shape.slice(1),
        bytes: bytesOf(data),
      };
      found.push({ tensor, layer, document });
    }
  }
  return found;
}
