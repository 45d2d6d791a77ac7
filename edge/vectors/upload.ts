/** Directions that a tenant brings along: read from what was sent, checked against the model, published as `uploaded`. */
import type { Manifest } from '../../shared/contracts/manifest.ts';
import { type LanguageDescription, modelKey } from '../../shared/contracts/model.ts';
import { type ProblemCode, SextantError } from '../../shared/contracts/problem.ts';
import { VECTOR_BLOB, type VectorBody } from '../../shared/contracts/vector.ts';
import { readControlVectors } from '../../shared/formats/control-vectors.ts';
import { readNpy } from '../../shared/formats/npy-read.ts';
import { readSafetensors } from '../../shared/formats/safetensors.ts';
import { SafetensorsError } from '../../shared/formats/safetensors-header.ts';
import { toFloat32 } from '../../shared/formats/safetensors-values.ts';
import type { VectorSource, VectorUpload } from '../../shared/requests/vector-upload.ts';
import { sha256Hex } from '../../shared/signing/digest.ts';

const refuse = (code: ProblemCode, pointer: string, detail: string): SextantError =>
  new SextantError(code, detail, { errors: [{ pointer, code, detail }] });

/** Values of one direction, and where it lies. */
type Direction = { hook: string; values: Float32Array };

const DTYPES = { float32: 'F32', float16: 'F16', bfloat16: 'BF16', float64: 'F64' } as const;

/** The directions in what was sent. @throws SextantError `data_invalid`, `validation_failed` */
export function directionsOf(source: VectorSource, hook: string | undefined, bytes: Uint8Array): Direction[] {
  if (source.format === 'gguf') {
    const found = readControlVectors(bytes);
    const layers = source.layers ?? [...found.keys()];
    if (hook !== undefined) {
      throw refuse('validation_failed', '/hook', 'control vectors lie behind their layers: leave the hook out');
    }
    return layers.map((layer) => {
      const values = found.get(layer);
      if (!values) {
        const known = [...found.keys()].sort((a, b) => a - b).join(', ');
        throw refuse('data_invalid', '/source/layers', `there is no direction.${layer}; the file has ${known}`);
      }
      return { hook: `resid_post.${layer}`, values };
    });
  }
  if (hook === undefined) {
    throw refuse('validation_failed', '/hook', 'a vector needs the hook point where it lies, such as resid_post.2');
  }
  return [{ hook, values: oneDirection(source, bytes) }];
}

function oneDirection(source: Exclude<VectorSource, { format: 'gguf' }>, bytes: Uint8Array): Float32Array {
  switch (source.format) {
    case 'json':
      return Float32Array.from(source.values);
    case 'raw': {
      const dtype = DTYPES[source.dtype];
      const size = dtype === 'F64' ? 8 : dtype === 'F32' ? 4 : 2;
      if (bytes.length === 0 || bytes.length % size !== 0) {
        throw refuse('data_invalid', '/source', `${bytes.length} bytes are no whole number of ${source.dtype} values`);
      }
      return toFloat32(bytes, dtype);
    }
    case 'npy': {
      const { shape, values } = readNpy(bytes);
      requireRow(shape);
      return Float32Array.from(values);
    }
    case 'safetensors':
      return fromSafetensors(bytes, source.tensor);
    default:
      return source satisfies never;
  }
}

function fromSafetensors(bytes: Uint8Array, tensor: string | undefined): Float32Array {
  try {
    const file = readSafetensors(bytes);
    const names = [...file.header.tensors.keys()];
    const name = tensor ?? (names.length === 1 ? names[0]! : '');
    if (!file.header.tensors.has(name)) {
      const detail = `${tensor === undefined ? 'name the tensor' : `there is no tensor '${tensor}'`}; the file has ${names.slice(0, 20).join(', ')}`;
      throw refuse('data_invalid', '/source/tensor', detail);
    }
    requireRow(file.shape(name));
    return file.float32(name);
  } catch (error) {
    throw error instanceof SafetensorsError ? refuse('data_invalid', '/source', error.message) : error;
  }
}

function requireRow(shape: readonly number[]): void {
  if (shape.filter((size) => size !== 1).length > 1) {
    throw refuse('data_invalid', '/source', `the array has the shape [${shape.join(', ')}]; a vector has one row`);
  }
}

/** Hooks whose values are as wide as the stream. */
const STREAM = /^(resid_pre|resid_mid|resid_post|attn_out|mlp_out|head_out)\./;

/**
 * Checks a direction against the model and scales it to unit norm.
 * @throws SextantError `hook_unknown`, `width_mismatch`, `data_invalid`
 */
function unitDirection(
  { hook, values }: Direction,
  model: LanguageDescription,
): { values: Float32Array; norm: number } {
  if (!model.hooks.includes(hook)) {
    throw refuse('hook_unknown', '/hook', `the model ${model.key} (${model.layers} layers) has no hook point ${hook}`);
  }
  if (STREAM.test(hook) && values.length !== model.width) {
    throw refuse('width_mismatch', '/source', `${values.length} values; ${hook} of ${model.key} has ${model.width}`);
  }
  const norm = Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
  if (!Number.isFinite(norm) || norm === 0) {
    throw refuse('data_invalid', '/source', norm === 0 ? 'all values are 0' : 'a value is no finite number');
  }
  return { values: values.map((value) => value / norm), norm };
}

/** The manifest of an uploaded direction, and the bytes of its values. */
export async function uploadedVector(
  direction: Direction,
  upload: VectorUpload,
  { model, digest }: { model: LanguageDescription; digest: string },
): Promise<{ manifest: Manifest; bytes: Uint8Array<ArrayBuffer> }> {
  const { values, norm } = unitDirection(direction, model);
  const bytes = Uint8Array.from(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
  const body: VectorBody = {
    width: values.length,
    dtype: 'float32',
    residual_norm: upload.residual_norm,
    positive_pole: upload.positive_pole,
    negative_pole: upload.negative_pole,
    strength: norm / upload.residual_norm,
    effect: {},
    calibration: [],
    provenance: { kind: 'uploaded', format: upload.source.format, ...(upload.note && { note: upload.note }) },
  };
  const blob = {
    name: VECTOR_BLOB,
    sha256: await sha256Hex(bytes),
    bytes: bytes.byteLength,
    media_type: 'application/octet-stream',
  };
  const manifest: Manifest = {
    kind: 'vector',
    schema: 1,
    method: 'uploaded',
    params: { format: upload.source.format },
    seed: null,
    model: 'id' in upload.model ? upload.model.id : modelKey(upload.model),
    model_digest: model.digest,
    hook: direction.hook,
    data_digest: digest,
    blobs: [blob],
    body,
  };
  return { manifest, bytes };
}
