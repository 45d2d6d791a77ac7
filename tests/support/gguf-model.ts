/** The same small Llama as a GGUF file, written from the format's description. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { float16Bits, float16Value } from '../../shared/formats/safetensors-values.ts';
import { stream } from '../../shared/math/random.ts';
import { type Architecture, listWeights } from '../../shared/models/architecture.ts';
import { familyOf, parseArchitecture } from '../../shared/models/describe.ts';
import { CONFIG, type Written } from './quantised-model.ts';

const NAMES: Record<string, string> = {
  'model.embed_tokens': 'token_embd',
  'model.norm': 'output_norm',
  lm_head: 'output',
  input_layernorm: 'attn_norm',
  post_attention_layernorm: 'ffn_norm',
  'self_attn.q_proj': 'attn_q',
  'self_attn.k_proj': 'attn_k',
  'self_attn.v_proj': 'attn_v',
  'self_attn.o_proj': 'attn_output',
  'mlp.gate_proj': 'ffn_gate',
  'mlp.up_proj': 'ffn_up',
  'mlp.down_proj': 'ffn_down',
};

class Bytes {
  readonly parts: Uint8Array[] = [];
  length = 0;
  add(bytes: Uint8Array): this {
    this.parts.push(bytes);
    this.length += bytes.length;
    return this;
  }
  u32 = (value: number): this => this.add(new Uint8Array(Uint32Array.of(value).buffer));
  u64 = (value: number): this => this.add(new Uint8Array(BigUint64Array.of(BigInt(value)).buffer));
  f32 = (value: number): this => this.add(new Uint8Array(Float32Array.of(value).buffer));
  text(value: string): this {
    const bytes = new TextEncoder().encode(value);
    return this.u64(bytes.length).add(bytes);
  }
  pad(to: number): this {
    return this.add(new Uint8Array((to - (this.length % to)) % to));
  }
  joined(): Uint8Array {
    const out = new Uint8Array(this.length);
    let at = 0;
    for (const part of this.parts) {
      out.set(part, at);
      at += part.length;
    }
    return out;
  }
}

/** Q8_0: blocks of 32 with one float16 scale. */
function q8(values: Float32Array): { bytes: Uint8Array; dense: Float32Array } {
  const bytes = new Uint8Array((values.length / 32) * 34);
  const dense = new Float32Array(values.length);
  const view = new DataView(bytes.buffer);
  for (let block = 0; block < values.length / 32; block++) {
    const own = values.subarray(block * 32, block * 32 + 32);
    const bits = float16Bits(Math.max(...own.map(Math.abs)) / 127);
    const scale = float16Value(bits);
    view.setUint16(block * 34, bits, true);
    for (const [i, value] of own.entries()) {
      const code = Math.max(-128, Math.min(127, Math.round(value / scale)));
      view.setInt8(block * 34 + 2 + i, code);
      dense[block * 32 + i] = code * scale;
    }
  }
  return { bytes, dense };
}

/** Rows of a head's two halves taken in turn, as llama.cpp stores queries and keys. */
function interleaved(values: Float32Array, rows: number, heads: number): Float32Array {
  const [width, size] = [values.length / rows, rows / heads];
  const out = new Float32Array(values.length);
  for (let row = 0; row < rows; row++) {
    const [head, i] = [Math.floor(row / size), row % size];
    const from = head * size + (i % 2) * (size / 2) + (i >> 1);
    out.set(values.subarray(from * width, (from + 1) * width), row * width);
  }
  return out;
}

export type GgufOptions = {
  architecture?: string;
  type?: number;
  quantised?: boolean;
  tied?: boolean;
  factors?: readonly number[];
  extraKey?: string;
  tokens?: readonly string[];
};

type GgufTensor = { name: string; shape: number[]; type: number; bytes: Uint8Array };
type Shapes = Pick<Architecture, 'heads' | 'kvHeads'>;

/** A weight as the format names and stores it; type 0 is float32, every other Q8_0. */
export function ggufTensor(
  a: Shapes,
  { name, shape, values }: { name: string; shape: readonly number[]; values: Float32Array },
  type: number,
): GgufTensor {
  const heads = name.includes('q_proj') ? a.heads : name.includes('k_proj') ? a.kvHeads : 0;
  const stored = heads ? interleaved(values, shape[0]!, heads) : values;
  const layer = /^model\.layers\.(\d+)\.(.+)\.weight$/.exec(name);
  const own = layer ? `blk.${layer[1]}.${NAMES[layer[2]!]}` : NAMES[name.replace(/\.weight$/, '')]!;
  return {
    name: `${own}.weight`,
    shape: [...shape].reverse(),
    type,
    bytes: type === 0 ? new Uint8Array(Float32Array.from(stored).buffer) : q8(stored).bytes,
  };
}

/** Writes the file; its projections in Q8_0, or all in float32. */
export function ggufModel(options: GgufOptions = {}): Written {
  const { architecture = 'llama', quantised = true, tied = false, factors, type, extraKey, tokens } = options;
  const a = parseArchitecture({ ...CONFIG, tie_word_embeddings: tied });
  const dense = new Map<string, Float32Array>();
  const tensors: GgufTensor[] = [];
  for (const { name, shape } of listWeights(familyOf('llama').weights(a))) {
    const size = shape.reduce((product, n) => product * n, 1);
    let values: Float32Array = Float32Array.from(stream(3, name).normal(size, { deviation: 0.15 }), (x) =>
      shape.length === 1 ? 1 + x : x,
    );
    const packed = quantised && name.endsWith('_proj.weight') ? q8(values) : null;
    if (packed) {
      values = packed.dense;
    }
    dense.set(name, values);
    tensors.push(ggufTensor(a, { name, shape, values }, packed ? (type ?? 8) : 0));
  }
  if (factors) {
    tensors.push({
      name: 'rope_freqs.weight',
      shape: [factors.length],
      type: 0,
      bytes: new Uint8Array(Float32Array.from(factors).buffer),
    });
  }
  const bytes = ggufFile(a, tensors, { architecture, ...(extraKey && { extraKey }), ...(tokens && { tokens }) });
  const parent = mkdtempSync(join(tmpdir(), 'sextant-gguf-'));
  const path = join(parent, 'model.gguf');
  writeFileSync(path, bytes);
  return { path, dense, remove: () => rmSync(parent, { recursive: true }) };
}

/** The file of these tensors. */
export function ggufFile(
  a: Architecture,
  tensors: readonly GgufTensor[],
  { architecture = 'llama', extraKey, tokens }: Pick<GgufOptions, 'architecture' | 'extraKey' | 'tokens'> = {},
): Uint8Array {
  const keys = new Bytes();
  let count = 0;
  const key = (name: string, kind: number) => {
    count++;
    return keys.text(name).u32(kind);
  };
  key('general.architecture', 8).text(architecture);
  const numbers: Record<string, number> = {
    context_length: a.context,
    embedding_length: a.width,
    block_count: a.layers,
    feed_forward_length: a.mlpWidth,
    'attention.head_count': a.heads,
    'attention.head_count_kv': a.kvHeads,
  };
  for (const [name, value] of Object.entries(numbers)) {
    key(`${architecture}.${name}`, 4).u32(value);
  }
  key(`${architecture}.attention.layer_norm_rms_epsilon`, 6).f32(1e-5);
  if (extraKey) {
    key(extraKey, 4).u32(3);
  }
  if (tokens) {
    key('tokenizer.ggml.model', 8).text('llama');
    const list = key('tokenizer.ggml.tokens', 9).u32(8).u64(tokens.length);
    for (const token of tokens) {
      list.text(token);
    }
  }
  const file = new Bytes().u32(0x46554747).u32(3).u64(tensors.length).u64(count).add(keys.joined());
  let offset = 0;
  for (const tensor of tensors) {
    file.text(tensor.name).u32(tensor.shape.length);
    for (const size of tensor.shape) {
      file.u64(size);
    }
    file.u32(tensor.type).u64(offset);
    offset += Math.ceil(tensor.bytes.length / 32) * 32;
  }
  file.pad(32);
  for (const { bytes } of tensors) {
    file.add(bytes).pad(32);
  }
  return file.joined();
}
