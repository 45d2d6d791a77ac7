/**
 * Dense networks from ONNX files: a chain of Gemm or MatMul, Add and activations, as exporters write a multilayer
 * perceptron. Only the few protobuf fields this needs are read, every length checked against the file.
 */
import { SextantError } from '../../../shared/contracts/problem.ts';
import {
  type Activation,
  checkNetwork,
  type DenseLayer,
  type DenseNetwork,
} from '../../../shared/fairness/predictors/network.ts';

type Field = { number: number; value: bigint; bytes: Uint8Array; fixed: number };

const refuse = (detail: string): SextantError => new SextantError('data_invalid', `the ONNX file ${detail}`);

/** Fields of one protobuf message. Raises `data_invalid` for lengths beyond the message. */
function* fields(message: Uint8Array): Generator<Field> {
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      if (at >= message.length) {
        throw refuse('ends in the middle of a number');
      }
      const byte = message[at++]!;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) {
        return BigInt.asUintN(64, value);
      }
    }
    throw refuse('holds a number that is too long');
  };
  const need = (length: number): void => {
    if (length > message.length - at) {
      throw refuse('announces more bytes than it has');
    }
  };
  const none = new Uint8Array(0);
  while (at < message.length) {
    const tag = Number(varint());
    const number = tag >>> 3;
    const field: Field = { number, value: 0n, bytes: none, fixed: 0 };
    if ((tag & 7) === 0) {
      field.value = varint();
    } else if ((tag & 7) === 1) {
      need(8);
      at += 8;
    } else if ((tag & 7) === 2) {
      const length = Number(varint());
      need(length);
      field.bytes = message.subarray(at, at + length);
      at += length;
    } else if ((tag & 7) === 5) {
      need(4);
      field.fixed = view.getFloat32(at, true);
      at += 4;
    } else {
      throw refuse('is not a protobuf message');
    }
    yield field;
  }
}
const decoder = new TextDecoder();
const all = (message: Uint8Array, number: number): Uint8Array[] =>
  [...fields(message)].filter((f) => f.number === number).map((f) => f.bytes);

type Tensor = { dims: number[]; values: Float64Array };
const [FLOAT, DOUBLE] = [1, 11];

/** Name and values of a TensorProto (float or double, raw or listed). */
function tensorOf(message: Uint8Array): [string, Tensor] {
  const dims: number[] = [];
  const listed: number[] = [];
  let [name, type] = ['', 0];
  let raw: Uint8Array | undefined;
  for (const { number, value, bytes, fixed } of fields(message)) {
    if (number === 1) {
      // Dimensions are packed or not, as the writer likes.
      if (bytes.length === 0) {
        dims.push(Number(value));
      } else {
        dims.push(...packed(bytes));
      }
    } else if (number === 2) {
      type = Number(value);
    } else if (number === 4) {
      if (bytes.length === 0) {
        listed.push(fixed);
      } else {
        listed.push(...floats(bytes, 4));
      }
    } else if (number === 8) {
      name = decoder.decode(bytes);
    } else if (number === 9) {
      raw = bytes;
    } else if (number === 10 && bytes.length > 0) {
      listed.push(...floats(bytes, 8));
    } else if (number === 14 && value !== 0n) {
      throw refuse(`keeps ${name} in another file; weights must be inside`);
    }
  }
  const size = dims.reduce((a, b) => a * b, 1);
  if (type !== FLOAT && type !== DOUBLE) {
    return [name, { dims, values: new Float64Array(0) }];
  }
  const values = Float64Array.from(raw ? floats(raw, type === FLOAT ? 4 : 8) : listed);
  if (values.length !== size) {
    throw refuse(`gives ${name} ${values.length} values for shape [${dims}]`);
  }
  return [name, { dims, values }];
}
function* packed(bytes: Uint8Array): Generator<number> {
  let [value, shift] = [0, 1];
  for (const byte of bytes) {
    value += (byte & 0x7f) * shift;
    shift *= 128;
    if (byte >= 0x80) {
      continue;
    }
    yield value;
    [value, shift] = [0, 1];
  }
}
function floats(bytes: Uint8Array, width: 4 | 8): number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: Math.floor(bytes.length / width) }, (_, i) =>
    width === 4 ? view.getFloat32(4 * i, true) : view.getFloat64(8 * i, true),
  );
}

type Node = { type: string; inputs: string[]; outputs: string[]; attributes: Map<string, number> };
function nodeOf(message: Uint8Array): Node {
  const attributes = new Map<string, number>();
  for (const attribute of all(message, 5)) {
    let [name, value] = ['', Number.NaN];
    for (const f of fields(attribute)) {
      if (f.number === 1) {
        name = decoder.decode(f.bytes);
      } else if (f.number === 2) {
        value = f.fixed;
      } else if (f.number === 3) {
        value = Number(BigInt.asIntN(64, f.value));
      }
    }
    attributes.set(name, value);
  }
  const texts = (number: number): string[] => all(message, number).map((bytes) => decoder.decode(bytes));
  return { type: texts(4)[0] ?? '', inputs: texts(1), outputs: texts(2), attributes };
}

const ACTIVATION: Readonly<Record<string, Activation>> = { Relu: 'relu', Tanh: 'tanh', Sigmoid: 'logistic' };
const PASSED = new Set(['Identity', 'Flatten', 'Dropout', 'Cast']);

/** A cast to float or double changes nothing here; any other rounds. */
const keepsValues = ({ type, attributes }: Node): boolean =>
  type !== 'Cast' || [FLOAT, DOUBLE].includes(attributes.get('to') ?? 0);

/** The network of an ONNX file. Raises `data_invalid` for operators or shapes that are no chain of dense layers. */
export function importOnnxNetwork(file: Uint8Array): DenseNetwork {
  const graph = all(file, 7)[0];
  if (!graph) {
    throw refuse('has no graph');
  }
  const tensors = new Map(all(graph, 5).map(tensorOf));
  const layers: DenseLayer[] = [];
  let flow: string | undefined;
  for (const node of all(graph, 1).map(nodeOf)) {
    const weightName = node.inputs.find((name) => tensors.has(name));
    const from = node.inputs.find((name) => !tensors.has(name));
    if (flow !== undefined && from !== flow) {
      throw refuse(`is no chain: ${node.type} reads ${from}, the layer before gives ${flow}`);
    }
    const last = layers.at(-1);
    if (node.type === 'Gemm' || node.type === 'MatMul') {
      const weight = tensors.get(weightName ?? '');
      if (weight?.dims.length !== 2 || node.inputs[1] !== weightName) {
        throw refuse(`has a ${node.type} without a weight matrix on its right`);
      }
      if (node.inputs[2] && !tensors.has(node.inputs[2])) {
        throw refuse(`has a ${node.type} whose bias is computed; biases are stored numbers`);
      }
      layers.push(denseOf(node, weight, tensors.get(node.inputs[2] ?? '')));
    } else if (node.type === 'Add' && last) {
      const bias = tensors.get(weightName ?? '');
      if (bias?.values.length !== last.outputs || last.activation !== 'identity') {
        throw refuse('adds something that is no bias');
      }
      last.bias.set(last.bias.map((b, o) => b + bias.values[o]!));
    } else if (ACTIVATION[node.type] && last?.activation === 'identity') {
      layers[layers.length - 1] = { ...last, activation: ACTIVATION[node.type]! };
    } else if (!PASSED.has(node.type) || !keepsValues(node)) {
      throw refuse(
        `has the operator ${node.type.slice(0, 60)}; dense layers are Gemm, MatMul, Add, Relu, Tanh and Sigmoid`,
      );
    }
    flow = node.outputs[0];
  }
  if (layers.length === 0) {
    throw refuse('holds no dense layer');
  }
  const outputs = all(graph, 12).map((bytes) => decoder.decode(all(bytes, 1)[0]));
  if (outputs.length !== 1 || outputs[0] !== flow) {
    throw refuse(`answers with ${outputs.join(', ').slice(0, 200)}; its one output must be what the last node gives`);
  }
  checkNetwork(layers);
  return layers;
}

function denseOf({ attributes }: Node, { dims, values }: Tensor, bias: Tensor | undefined): DenseLayer {
  if ((attributes.get('transA') ?? 0) !== 0) {
    throw refuse('transposes the rows of a Gemm');
  }
  const transposed = (attributes.get('transB') ?? 0) !== 0;
  const [alpha, beta] = [attributes.get('alpha') ?? 1, attributes.get('beta') ?? 1];
  const [rows, cols] = dims as [number, number];
  const [outputs, inputs] = transposed ? [rows, cols] : [cols, rows];
  // Of other types nothing is read: without this, dimensions without numbers would still be given their memory.
  if (values.length !== rows * cols) {
    throw refuse('keeps weights in another type than float or double');
  }
  const weights = new Float64Array(outputs * inputs);
  for (let o = 0; o < outputs; o++) {
    for (let i = 0; i < inputs; i++) {
      weights[o * inputs + i] = alpha * values[transposed ? o * inputs + i : i * outputs + o]!;
    }
  }
  if (bias && bias.values.length !== outputs && bias.values.length !== 1) {
    throw refuse(`has a bias of ${bias.values.length} for ${outputs} outputs`);
  }
  const shift = Float64Array.from({ length: outputs }, (_, o) =>
    bias ? beta * bias.values[bias.values.length === 1 ? 0 : o]! : 0,
  );
  return { inputs, outputs, weights, bias: shift, activation: 'identity' };
}
