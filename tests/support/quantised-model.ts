/**
 * A small random Llama written in published layouts of quantised weights, and the dense weights that each stands for. The
 * packers are written from the layouts' descriptions, apart from the reading code.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeSafetensors } from '../../shared/formats/safetensors.ts';
import { float16Bits, float16Value } from '../../shared/formats/safetensors-values.ts';
import { stream } from '../../shared/math/random.ts';
import { listWeights } from '../../shared/models/architecture.ts';
import { familyOf, parseArchitecture } from '../../shared/models/describe.ts';

export const CONFIG = {
  model_type: 'llama',
  vocab_size: 61,
  hidden_size: 64,
  intermediate_size: 64,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 32,
  rms_norm_eps: 1e-5,
  tie_word_embeddings: false,
};

type TensorToWrite = Parameters<typeof writeSafetensors>[0][number];
export type Written = { path: string; dense: Map<string, Float32Array>; remove: () => void };
type Parts = { tensors: TensorToWrite[]; dense: Float32Array };
type Layout = {
  settings: Record<string, unknown>;
  pack(name: string, w: Float32Array, out: number, inputs: number): Parts;
};

const f32 = (name: string, shape: number[], values: ArrayLike<number>): TensorToWrite => ({
  name,
  dtype: 'F32',
  shape,
  bytes: new Uint8Array(Float32Array.from(values).buffer),
});
const f16 = (name: string, shape: number[], values: ArrayLike<number>): TensorToWrite => ({
  name,
  dtype: 'F16',
  shape,
  bytes: new Uint8Array(Uint16Array.from(values, float16Bits).buffer),
});
const i32 = (name: string, shape: number[], values: ArrayLike<number>): TensorToWrite => ({
  name,
  dtype: 'I32',
  shape,
  bytes: new Uint8Array(Int32Array.from(values).buffer),
});

/** Fields of one line into words, bit by bit. */
function words(line: readonly number[], bits: number): number[] {
  const out = new Array<number>(Math.ceil((line.length * bits) / 32)).fill(0);
  for (const [k, field] of line.entries()) {
    for (let b = 0; b < bits; b++) {
      const at = k * bits + b;
      if ((field >> b) & 1) {
        out[at >> 5]! |= 1 << (at & 31);
      }
    }
  }
  return out;
}
/** Lines [count][length] as columns: [length, count] flattened. */
const turned = (lines: readonly number[][]): number[] =>
  Array.from(
    { length: lines[0]!.length * lines.length },
    (_, i) => lines[i % lines.length]![Math.floor(i / lines.length)]!,
  );

type Grid = { codes: number[][]; zeros: number[][]; scales: number[][] };

/** Rows of whole-number codes, groups of inputs by `of`. */
function grid(
  w: Float32Array,
  out: number,
  inputs: number,
  bits: number,
  of: readonly number[],
  symmetric: boolean,
): Grid {
  const groups = Math.max(...of) + 1;
  const made: Grid = { codes: [], zeros: [], scales: [] };
  for (let row = 0; row < out; row++) {
    const values = w.subarray(row * inputs, (row + 1) * inputs);
    const top = 2 ** bits - 1;
    const zeros: number[] = [];
    const scales: number[] = [];
    for (let group = 0; group < groups; group++) {
      const own = [...values].filter((_, i) => of[i] === group);
      const [low, high] = [Math.min(0, ...own), Math.max(0, ...own)];
      const largest = Math.max(-low, high);
      const scale = float16Value(float16Bits(symmetric ? (2 * largest) / top : (high - low) / top)) || 1;
      scales.push(scale);
      zeros.push(symmetric ? 2 ** (bits - 1) : Math.min(top, Math.max(0, Math.round(-low / scale))));
    }
    made.zeros.push(zeros);
    made.scales.push(scales);
    made.codes.push(
      [...values].map((value, i) => Math.min(top, Math.max(0, Math.round(value / scales[of[i]!]!) + zeros[of[i]!]!))),
    );
  }
  return made;
}
const denseOf = ({ codes, zeros, scales }: Grid, of: readonly number[]): Float32Array =>
  Float32Array.from(codes.flatMap((row, r) => row.map((code, i) => (code - zeros[r]![of[i]!]!) * scales[r]![of[i]!]!)));

export function gptq({
  bits = 4,
  group = 16,
  symmetric = false,
  v2 = false,
  actOrder = false,
  label = '',
} = {}): Layout {
  return {
    settings: {
      quant_method: 'gptq',
      bits,
      group_size: group,
      desc_act: actOrder,
      sym: symmetric,
      checkpoint_format: label || (v2 ? 'gptq_v2' : 'gptq'),
    },
    pack(name, w, out, inputs) {
      const runs = Array.from({ length: inputs }, (_, i) => Math.floor(i / group));
      const of = actOrder ? Array.from(stream(9, name).permutation(inputs), (i) => runs[i]!) : runs;
      const made = grid(w, out, inputs, bits, of, symmetric);
      const groups = inputs / group;
      const stored = made.zeros.map((row) => row.map((zero) => (v2 ? zero : (zero - 1 + 2 ** bits) % 2 ** bits)));
      const byGroup = Array.from({ length: groups }, (_, g) =>
        words(
          stored.map((row) => row[g]!),
          bits,
        ),
      );
      return {
        tensors: [
          i32(`${name}.qweight`, [(inputs * bits) / 32, out], turned(made.codes.map((row) => words(row, bits)))),
          i32(`${name}.qzeros`, [groups, (out * bits) / 32], byGroup.flat()),
          f16(`${name}.scales`, [groups, out], turned(made.scales)),
          i32(`${name}.g_idx`, [inputs], of),
        ],
        dense: denseOf(made, of),
      };
    },
  };
}

export function awq({ group = 16 } = {}): Layout {
  const order = [0, 2, 4, 6, 1, 3, 5, 7];
  const mixed = (line: readonly number[]) => line.map((_, i) => line[i - (i % 8) + order[i % 8]!]!);
  return {
    settings: { quant_method: 'awq', bits: 4, group_size: group, version: 'gemm', zero_point: true },
    pack(name, w, out, inputs) {
      const of = Array.from({ length: inputs }, (_, i) => Math.floor(i / group));
      const made = grid(w, out, inputs, 4, of, false);
      const column = (rows: readonly number[][], i: number) => words(mixed(rows.map((row) => row[i]!)), 4);
      const groups = inputs / group;
      return {
        tensors: [
          i32(
            `${name}.qweight`,
            [inputs, out / 8],
            Array.from({ length: inputs }, (_, i) => column(made.codes, i)).flat(),
          ),
          i32(
            `${name}.qzeros`,
            [groups, out / 8],
            Array.from({ length: groups }, (_, g) => column(made.zeros, g)).flat(),
          ),
          f16(`${name}.scales`, [groups, out], turned(made.scales)),
        ],
        dense: denseOf(made, of),
      };
    },
  };
}

export function packQuantized({ bits = 4, group = 16, symmetric = false, activations = false } = {}): Layout {
  return {
    settings: {
      quant_method: 'compressed-tensors',
      format: 'pack-quantized',
      ignore: ['lm_head'],
      config_groups: {
        group_0: {
          targets: ['Linear'],
          weights: { num_bits: bits, type: 'int', symmetric, strategy: 'group', group_size: group },
          input_activations: activations ? { num_bits: 8, type: 'int', dynamic: true } : null,
        },
      },
    },
    pack(name, w, out, inputs) {
      const of = Array.from({ length: inputs }, (_, i) => Math.floor(i / group));
      const made = grid(w, out, inputs, bits, of, symmetric);
      const packed = made.codes.map((row) => words(row, bits));
      const groups = inputs / group;
      const zeros = turned(
        Array.from({ length: groups }, (_, g) =>
          words(
            made.zeros.map((row) => row[g]!),
            bits,
          ),
        ),
      );
      return {
        tensors: [
          i32(`${name}.weight_packed`, [out, packed[0]!.length], packed.flat()),
          f16(`${name}.weight_scale`, [out, groups], made.scales.flat()),
          ...(symmetric ? [] : [i32(`${name}.weight_zero_point`, [zeros.length / groups, groups], zeros)]),
        ],
        dense: denseOf(made, of),
      };
    },
  };
}

const NF4 = [
  -1, -0.6961928, -0.52507305, -0.3949175, -0.28444138, -0.18477343, -0.09105004, 0, 0.0795803, 0.1609302, 0.2461123,
  0.33791524, 0.44070983, 0.562617, 0.72295684, 1,
].map(Math.fround);

export const nf4 = (): Layout => ({
  settings: { quant_method: 'bitsandbytes', load_in_4bit: true, bnb_4bit_quant_type: 'nf4' },
  pack(name, w, out, inputs) {
    const largest = Array.from({ length: w.length / 64 }, (_, block) =>
      Math.max(...w.subarray(block * 64, block * 64 + 64).map(Math.abs)),
    );
    const codes = Array.from(w, (value, i) => {
      const gaps = NF4.map((level) => Math.abs(level - value / largest[i >> 6]!));
      return gaps.indexOf(Math.min(...gaps));
    });
    const state = { quant_type: 'nf4', blocksize: 64, dtype: 'float16', shape: [out, inputs] };
    const json = new TextEncoder().encode(JSON.stringify(state));
    const packed = Uint8Array.from({ length: codes.length / 2 }, (_, i) => (codes[2 * i]! << 4) | codes[2 * i + 1]!);
    return {
      tensors: [
        { name: `${name}.weight`, dtype: 'U8', shape: [packed.length, 1], bytes: packed },
        f32(`${name}.weight.absmax`, [largest.length], largest),
        f32(`${name}.weight.quant_map`, [16], NF4),
        { name: `${name}.weight.quant_state.bitsandbytes__nf4`, dtype: 'U8', shape: [json.length], bytes: json },
      ],
      dense: Float32Array.from(codes, (code, i) => NF4[code]! * Math.fround(largest[i >> 6]!)),
    };
  },
});

/** Values of E4M3 by their bits, from the format's description. */
const E4M3 = Array.from({ length: 256 }, (_, bits) => {
  const [exponent, fraction] = [(bits >> 3) & 15, bits & 7];
  const size = exponent === 0 ? fraction / 512 : (1 + fraction / 8) * 2 ** (exponent - 7);
  return (bits & 127) === 127 ? Number.NaN : bits & 128 ? -size : size;
});

export const fp8Blocks = ([height, width]: [number, number] = [24, 20]): Layout => ({
  settings: { quant_method: 'fp8', activation_scheme: 'dynamic', weight_block_size: [height, width] },
  pack(name, w, out, inputs) {
    const [rows, columns] = [Math.ceil(out / height), Math.ceil(inputs / width)];
    const scaleAt = (i: number) => Math.floor(i / inputs / height) * columns + Math.floor((i % inputs) / width);
    const scales = new Float32Array(rows * columns);
    for (const [i, value] of w.entries()) {
      scales[scaleAt(i)] = Math.max(scales[scaleAt(i)]!, Math.abs(value) / 448);
    }
    const codes = Uint8Array.from(w, (value, i) => {
      const gaps = E4M3.map((level) =>
        Number.isNaN(level) ? Number.POSITIVE_INFINITY : Math.abs(level - value / scales[scaleAt(i)]!),
      );
      return gaps.indexOf(Math.min(...gaps));
    });
    return {
      tensors: [
        { name: `${name}.weight`, dtype: 'F8_E4M3', shape: [out, inputs], bytes: codes },
        f32(`${name}.weight_scale_inv`, [rows, columns], scales),
      ],
      dense: Float32Array.from(codes, (code, i) => E4M3[code]! * scales[scaleAt(i)]!),
    };
  },
});

/** Writes the model with every projection in `layout`, or plain for null. */
export function quantisedModel(layout: Layout | null, { settingsFile = '' } = {}): Written {
  const parent = mkdtempSync(join(tmpdir(), 'sextant-quantised-'));
  const path = join(parent, 'model');
  mkdirSync(path);
  const a = parseArchitecture(CONFIG);
  const dense = new Map<string, Float32Array>();
  const tensors: TensorToWrite[] = [];
  for (const { name, shape } of listWeights(familyOf('llama').weights(a))) {
    const size = shape.reduce((product, n) => product * n, 1);
    const values = Float32Array.from(stream(3, name).normal(size, { deviation: 0.15 }), (x) =>
      shape.length === 1 ? 1 + x : x,
    );
    if (layout && name.endsWith('_proj.weight')) {
      const [out, inputs] = shape as [number, number];
      const packed = layout.pack(name.slice(0, -'.weight'.length), values, out, inputs);
      tensors.push(...packed.tensors);
      dense.set(name, packed.dense);
    } else {
      tensors.push(f32(name, [...shape], values));
      dense.set(name, values);
    }
  }
  const { quant_method: _method, ...bare } = layout?.settings ?? {};
  const config = layout && !settingsFile ? { ...CONFIG, quantization_config: layout.settings } : CONFIG;
  writeFileSync(join(path, 'config.json'), JSON.stringify(config));
  if (settingsFile) {
    writeFileSync(join(path, settingsFile), JSON.stringify(bare));
  }
  writeFileSync(join(path, 'model.safetensors'), writeSafetensors(tensors));
  return { path, dense, remove: () => rmSync(parent, { recursive: true }) };
}
