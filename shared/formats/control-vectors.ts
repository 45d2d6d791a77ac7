/**
 * Control vectors as llama.cpp reads them: a GGUF file (github.com/ggml-org/ggml, docs/gguf.md) of the architecture
 * `controlvector` with a tensor `direction.N` of float32 or float16 for each layer N, which is added after layer N, counted from 0.
 */
import { recordError } from './record-error.ts';
import { float16Value } from './safetensors-values.ts';

const MAGIC = 0x46554747;
const [STRING, ARRAY] = [8, 9];
/** Bytes of a value, by its type in the file. */
const SIZES: Readonly<Record<number, number>> = { 0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8 };
const [F32, F16] = [0, 1];
const MOST_ENTRIES = 4096;
const DEFAULT_ALIGNMENT = 32;

const malformed = (detail: string) => recordError('gguf_malformed', detail);

class Reader {
  readonly #view: DataView;
  at = 0;
  constructor(file: Uint8Array) {
    this.#view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  }
  /** Moves on by `bytes` and gives where they begin. */
  take(bytes: number): number {
    const from = this.at;
    if (!Number.isSafeInteger(bytes) || bytes < 0 || from + bytes > this.#view.byteLength) {
      throw malformed('the file ends before what it announces');
    }
    this.at += bytes;
    return from;
  }
  uint32 = (): number => this.#view.getUint32(this.take(4), true);
  uint64 = (): number => Number(this.#view.getBigUint64(this.take(8), true));
  text(): string {
    const length = this.uint64();
    const from = this.take(length);
    return new TextDecoder().decode(new Uint8Array(this.#view.buffer, this.#view.byteOffset + from, length));
  }
  /** A value of the header: a text or an integer of 32 bits as such, others passed over. */
  value(type: number): string | number | null {
    if (type === STRING) {
      return this.text();
    }
    if (type === 4) {
      return this.uint32();
    }
    if (type === ARRAY) {
      const of = this.uint32();
      for (let left = this.uint64(); left > 0; left--) {
        this.value(of);
      }
      return null;
    }
    const size = SIZES[type];
    if (size === undefined) {
      throw malformed(`a value of type ${type}`);
    }
    this.take(size);
    return null;
  }
}

/** The directions by layer. @throws SextantError `data_invalid` for other files, tensors and types */
export function readControlVectors(file: Uint8Array): Map<number, Float32Array> {
  const reader = new Reader(file);
  const magic = reader.uint32();
  const version = reader.uint32();
  if (magic !== MAGIC || version < 2 || version > 3) {
    throw malformed(magic === MAGIC ? `the file is of version ${version}; 2 and 3 are read` : 'this is no GGUF file');
  }
  const [tensors, values] = [reader.uint64(), reader.uint64()];
  if (tensors > MOST_ENTRIES || values > MOST_ENTRIES) {
    throw malformed(`${tensors} tensors and ${values} values; a file of control vectors has at most ${MOST_ENTRIES}`);
  }
  const header = new Map<string, string | number | null>();
  for (let i = 0; i < values; i++) {
    const key = reader.text();
    header.set(key, reader.value(reader.uint32()));
  }
  const architecture = header.get('general.architecture');
  if (architecture !== 'controlvector') {
    throw malformed(`the file is of the architecture '${architecture}', not 'controlvector'`);
  }
  const infos = Array.from({ length: tensors }, () => {
    const name = reader.text();
    const axes = reader.uint32();
    if (axes > 4) {
      throw malformed(`'${name}' has ${axes} axes`);
    }
    const shape = Array.from({ length: axes }, () => reader.uint64());
    return { name, shape, type: reader.uint32(), offset: reader.uint64() };
  });
  const alignment = header.get('general.alignment');
  const step = typeof alignment === 'number' && alignment > 0 ? alignment : DEFAULT_ALIGNMENT;
  const data = Math.ceil(reader.at / step) * step;
  const directions = new Map<number, Float32Array>();
  for (const { name, shape, type, offset } of infos) {
    const layer = /^direction\.(\d{1,4})$/.exec(name)?.[1];
    if (layer === undefined || shape.length !== 1 || (type !== F32 && type !== F16)) {
      throw malformed(`'${name}' is no direction.N of one axis in float32 or float16`);
    }
    const [width = 0] = shape;
    reader.at = data + offset;
    const from = reader.take(width * (type === F32 ? 4 : 2));
    const view = new DataView(file.buffer, file.byteOffset + from);
    const value = (i: number) =>
      type === F32 ? view.getFloat32(4 * i, true) : float16Value(view.getUint16(2 * i, true));
    directions.set(
      Number(layer),
      Float32Array.from({ length: width }, (_, i) => value(i)),
    );
  }
  return directions;
}
