/** Models in GGUF files: their metadata as a `config.json`, their tensors under the publishers' names. */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { SextantError } from '../../../../shared/contracts/problem.ts';
import { listWeights } from '../../../../shared/models/architecture.ts';
import { familyOf, parseArchitecture } from '../../../../shared/models/describe.ts';
import { bytesOf, type DenseTensor, type Storage, writeDenseFolder } from '../dense-folder.ts';
import { readBytes } from '../safetensors-file.ts';
import { dequantise } from './dequantise.ts';
import { type GgufHeader, type GgufTensor, readGgufHeader } from './header.ts';
import { ggufTokenizer } from './tokenizer.ts';

const ARCHITECTURES: Readonly<Record<string, string>> = {
  llama: 'LlamaForCausalLM',
  qwen2: 'Qwen2ForCausalLM',
  qwen3: 'Qwen3ForCausalLM',
};
/** Keys after the architecture's name that are read, or say nothing of the arithmetic. */
const KNOWN_KEYS = new Set([
  'context_length',
  'embedding_length',
  'block_count',
  'feed_forward_length',
  'vocab_size',
  'attention.head_count',
  'attention.head_count_kv',
  'attention.key_length',
  'attention.value_length',
  'attention.layer_norm_rms_epsilon',
  'rope.freq_base',
  'rope.dimension_count',
  'rope.scaling.type',
  'rope.scaling.factor',
  'rope.scaling.original_context_length',
  'rope.scaling.finetuned',
]);

/** The GGUF file that `path` is, or that it holds alone, without a `config.json`; null for other folders. */
export function ggufFileOf(path: string): string | null {
  if (!existsSync(path)) {
    return null;
  }
  if (statSync(path).isFile()) {
    return path;
  }
  if (existsSync(join(path, 'config.json'))) {
    return null;
  }
  const files = readdirSync(path).filter((name) => name.endsWith('.gguf'));
  if (files.length > 1) {
    throw new SextantError('model_unknown', `the folder has ${files.length} GGUF files; an alias may point at one`);
  }
  return files[0] ? join(path, files[0]) : null;
}

type GgufModel = {
  storage: Storage;
  config: Record<string, unknown>;
  /** Writes the dense folder and gives its path. */
  dense(scratch?: string): string;
};

/** A GGUF file's model, all sizes checked and no weight read. @throws SextantError `model_unsupported`, `weights_invalid` */
export function readGguf(path: string): GgufModel {
  const header = readGgufHeader(path);
  const config = configOf(path, header);
  const architecture = parseArchitecture(config);
  const weights = listWeights(familyOf(architecture.family).weights(architecture));
  const used = new Set(['rope_freqs.weight']);
  const sources = weights.map(({ name, shape }) => {
    const stored = storedName(name);
    used.add(stored);
    const tensor = header.tensors.get(stored);
    if (!tensor) {
      throw new SextantError('weights_invalid', `GGUF: tensor '${stored}' is missing`);
    }
    if (tensor.shape.join() !== shape.join()) {
      throw new SextantError(
        'weights_invalid',
        `GGUF: tensor '${stored}' has shape [${tensor.shape}]; by the file's own sizes it must be [${shape}]`,
      );
    }
    return { name, shape, tensor };
  });
  const unread = [...header.tensors.keys()].find((name) => !used.has(name));
  if (unread !== undefined) {
    throw new SextantError(
      'model_unsupported',
      `GGUF: tensor '${unread.slice(0, 80)}' is not one of a ${architecture.family}`,
    );
  }
  const headsOf = (name: string): number | null => {
    if (architecture.family !== 'llama') {
      return null;
    }
    if (/\.q_proj\./.test(name)) {
      return architecture.heads;
    }
    return /\.k_proj\./.test(name) ? architecture.kvHeads : null;
  };
  const tokenizer = ggufTokenizer(header);
  const tensors = sources.map(({ name, shape, tensor }): DenseTensor => {
    const heads = headsOf(name);
    const read = () => {
      const values = valuesOf(path, tensor);
      return bytesOf(heads === null ? values : halvesApart(values, shape, heads));
    };
    return { name, dtype: 'F32', shape, read };
  });
  const documents = tokenizer?.json
    ? { 'tokenizer.json': tokenizer.json, 'tokenizer_config.json': tokenizer.config }
    : {};
  return {
    storage: storageOf(header, sources, tokenizer?.notice ?? null),
    config,
    dense: (scratch) => writeDenseFolder({ config, tensors, documents }, scratch),
  };
}

const valuesOf = (path: string, { type, begin, end }: GgufTensor): Float32Array =>
  dequantise(type, readBytes(path, begin, end));

/** The metadata as the publishers' config. @throws SextantError `model_unsupported` for what may change the arithmetic */
function configOf(path: string, { metadata, tensors }: GgufHeader): Record<string, unknown> {
  const family = metadata.get('general.architecture');
  if (typeof family !== 'string' || !Object.hasOwn(ARCHITECTURES, family)) {
    throw new SextantError(
      'model_unsupported',
      `GGUF: architecture '${String(family).slice(0, 60)}' is not supported; ${Object.keys(ARCHITECTURES).join(', ')} are`,
    );
  }
  if (Number(metadata.get('split.count') ?? 0) > 1) {
    throw new SextantError('model_unsupported', 'GGUF: one of several parts; join them with gguf-split first');
  }
  for (const [key, value] of metadata) {
    if (
      key.startsWith(`${family}.`) &&
      !KNOWN_KEYS.has(key.slice(family.length + 1)) &&
      value !== 0 &&
      value !== false
    ) {
      throw new SextantError(
        'model_unsupported',
        `GGUF: '${key.slice(0, 80)}' may change the arithmetic and is not supported`,
      );
    }
  }
  const number = (key: string): number => {
    const value = metadata.get(`${family}.${key}`);
    if (typeof value === 'number' && Number.isFinite(value)) {
      return value;
    }
    throw new SextantError('model_unsupported', `GGUF: '${family}.${key}' must be a number`);
  };
  const optional = (key: string): number | undefined => (metadata.has(`${family}.${key}`) ? number(key) : undefined);
  const heads = number('attention.head_count');
  const headDim = optional('attention.key_length') ?? number('embedding_length') / heads;
  const valueDim = optional('attention.value_length') ?? headDim;
  if (valueDim !== headDim || (optional('rope.dimension_count') ?? headDim) !== headDim) {
    throw new SextantError(
      'model_unsupported',
      `GGUF: heads of ${headDim} must be rotated whole and have values of that size`,
    );
  }
  const has = (name: string) => tensors.has(name);
  const embedding = tensors.get('token_embd.weight');
  const id = (name: string) => {
    const value = metadata.get(`tokenizer.ggml.${name}_token_id`);
    return typeof value === 'number' ? { [`${name === 'padding' ? 'pad' : name}_token_id`]: value } : {};
  };
  return {
    architectures: [ARCHITECTURES[family]],
    model_type: family,
    vocab_size: embedding?.shape[0] ?? number('vocab_size'),
    hidden_size: number('embedding_length'),
    intermediate_size: number('feed_forward_length'),
    num_hidden_layers: number('block_count'),
    num_attention_heads: heads,
    num_key_value_heads: optional('attention.head_count_kv') ?? heads,
    head_dim: headDim,
    hidden_act: 'silu',
    max_position_embeddings: number('context_length'),
    rms_norm_eps: number('attention.layer_norm_rms_epsilon'),
    rope_parameters: ropeOf(path, { metadata, tensors }, family, optional, headDim),
    tie_word_embeddings: !has('output.weight'),
    ...(family === 'llama' && {
      attention_bias: has('blk.0.attn_q.bias'),
      mlp_bias: has('blk.0.ffn_up.bias'),
    }),
    ...id('bos'),
    ...id('eos'),
    torch_dtype: 'float32',
  };
}

/**
 * Rotary settings; `rope_freqs` holds what each pair's frequency is divided by, which the publishers spell `longrope`
 * with the same factors at every length.
 */
function ropeOf(
  path: string,
  { metadata, tensors }: Pick<GgufHeader, 'metadata' | 'tensors'>,
  family: string,
  optional: (key: string) => number | undefined,
  headDim: number,
): Record<string, unknown> {
  const factors = tensors.get('rope_freqs.weight');
  const rope_theta = optional('rope.freq_base') ?? 10_000;
  const type = metadata.get(`${family}.rope.scaling.type`) ?? 'none';
  if (factors && (factors.shape.length !== 1 || factors.shape[0] !== headDim / 2)) {
    throw new SextantError(
      'weights_invalid',
      `GGUF: 'rope_freqs.weight' has shape [${factors.shape}] for heads of ${headDim}`,
    );
  }
  if (type === 'linear' && !factors) {
    return { rope_theta, rope_type: 'linear', factor: optional('rope.scaling.factor') ?? 1 };
  }
  if (type !== 'none') {
    throw new SextantError('model_unsupported', `GGUF: rotary scaling '${String(type).slice(0, 40)}' is not supported`);
  }
  if (!factors) {
    return { rope_theta, rope_type: 'default' };
  }
  const divisors = Array.from(valuesOf(path, factors));
  if (!divisors.every((divisor) => Number.isFinite(divisor) && divisor > 0)) {
    throw new SextantError('weights_invalid', "GGUF: 'rope_freqs.weight' must hold numbers above 0");
  }
  return {
    rope_theta,
    rope_type: 'longrope',
    short_factor: divisors,
    long_factor: divisors,
    attention_factor: 1,
    original_max_position_embeddings: optional('context_length') ?? 2048,
  };
}

const LAYER_NAMES: Readonly<Record<string, string>> = {
  input_layernorm: 'attn_norm',
  post_attention_layernorm: 'ffn_norm',
  'self_attn.q_proj': 'attn_q',
  'self_attn.k_proj': 'attn_k',
  'self_attn.v_proj': 'attn_v',
  'self_attn.o_proj': 'attn_output',
  'self_attn.q_norm': 'attn_q_norm',
  'self_attn.k_norm': 'attn_k_norm',
  'mlp.gate_proj': 'ffn_gate',
  'mlp.up_proj': 'ffn_up',
  'mlp.down_proj': 'ffn_down',
};
const NAMES: Readonly<Record<string, string>> = {
  'model.embed_tokens.weight': 'token_embd.weight',
  'model.norm.weight': 'output_norm.weight',
  'lm_head.weight': 'output.weight',
};

/** What a GGUF file calls a weight. */
function storedName(name: string): string {
  const layer = /^model\.layers\.(\d+)\.(.+)\.(weight|bias)$/.exec(name);
  return layer ? `blk.${layer[1]}.${LAYER_NAMES[layer[2]!]}.${layer[3]}` : NAMES[name]!;
}

/**
 * Rows of a llama's queries and keys as the publishers have them: within a head the file interleaves the two halves whose
 * entries are rotated together. Values [rows, width] or [rows].
 */
function halvesApart(values: Float32Array, [rows = 0]: readonly number[], heads: number): Float32Array {
  const width = values.length / rows;
  const size = rows / heads;
  const half = size / 2;
  const out = new Float32Array(values.length);
  for (let head = 0; head < heads; head++) {
    for (let i = 0; i < size; i++) {
      const from = head * size + 2 * (i % half) + Math.floor(i / half);
      out.set(values.subarray(from * width, (from + 1) * width), (head * size + i) * width);
    }
  }
  return out;
}

function storageOf(
  { bytes }: GgufHeader,
  sources: readonly { shape: readonly number[]; tensor: GgufTensor }[],
  notice: string | null,
): Storage {
  const matrices = sources.filter(({ shape }) => shape.length === 2).map(({ tensor }) => tensor.type);
  const quantised = matrices.filter(({ bits }) => bits < 16);
  const counted = quantised.length > 0 ? quantised : matrices;
  const types = [...new Map(counted.map((type) => [type.name, type])).values()];
  const only = types.length === 1 ? types[0]! : null;
  return {
    layout: `gguf ${types.map(({ name }) => name).join(', ')}`,
    bits: only?.bits ?? null,
    group: only && only.values > 1 ? only.values : null,
    bytes,
    dense_bytes: sources.reduce((sum, { shape }) => sum + 4 * shape.reduce((a, b) => a * b, 1), 0),
    packed: null,
    notices: notice ? [notice] : [],
  };
}
