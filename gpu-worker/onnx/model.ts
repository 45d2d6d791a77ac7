/**
 * ONNX models as plain objects, and their encoding. Field numbers follow onnx.proto (IR 10, opset 21): newer ones are
 * refused by, or leave the GPU in, the runtime this project uses.
 */
import { Message } from './protobuf.ts';

const OPSET = 21;
const IR_VERSION = 10;

/** `TensorProto.DataType` of every element type that is used here. */
export const ELEMENT_TYPES = {
  float32: 1,
  uint8: 2,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  float64: 11,
  bfloat16: 16,
} as const;
export type ElementType = keyof typeof ELEMENT_TYPES;

/** Bytes of a tensor inside another file: an initialiser that is never copied into the model. */
export type ExternalData = { file: string; offset: number; length: number };

export type OnnxTensor = {
  name: string;
  type: ElementType;
  dims: readonly number[];
  data: { raw: Uint8Array } | { external: ExternalData };
};

/** A bare number is an integer; a float is wrapped, because the two have different fields on the wire. */
export type OnnxAttribute =
  | number
  | string
  | readonly number[]
  | { float: number }
  | { graph: OnnxGraph }
  | { tensor: OnnxTensor };

export type OnnxNode = {
  type: string;
  domain?: string;
  inputs: readonly string[];
  outputs: readonly string[];
  attributes?: Readonly<Record<string, OnnxAttribute>>;
};

export type OnnxValue = { name: string; type: ElementType; shape: readonly (number | string)[] };

export type OnnxGraph = {
  name: string;
  nodes: readonly OnnxNode[];
  inputs: readonly OnnxValue[];
  outputs: readonly OnnxValue[];
  initializers: readonly OnnxTensor[];
};

function tensor({ name, type, dims, data }: OnnxTensor): Message {
  const message = new Message();
  if (dims.length > 0) {
    message.integers(1, dims);
  }
  message.integer(2, ELEMENT_TYPES[type]).text(8, name);
  if ('raw' in data) {
    return message.bytes(9, data.raw);
  }
  const entries = { location: data.external.file, offset: data.external.offset, length: data.external.length };
  for (const [key, value] of Object.entries(entries)) {
    message.message(13, new Message().text(1, key).text(2, String(value)));
  }
  return message.integer(14, 1);
}

function attribute(name: string, value: OnnxAttribute): Message {
  const message = new Message().text(1, name);
  if (typeof value === 'number') {
    return message.integer(3, value).integer(20, 2);
  }
  if (typeof value === 'string') {
    return message.text(4, value).integer(20, 3);
  }
  if ('float' in value) {
    return message.float(2, value.float).integer(20, 1);
  }
  if ('graph' in value) {
    return message.message(6, graph(value.graph)).integer(20, 5);
  }
  if ('tensor' in value) {
    return message.message(5, tensor(value.tensor)).integer(20, 4);
  }
  return message.integers(8, value).integer(20, 7);
}

function node(value: OnnxNode): Message {
  const message = new Message();
  for (const input of value.inputs) {
    message.text(1, input);
  }
  for (const output of value.outputs) {
    message.text(2, output);
  }
  message.text(4, value.type);
  for (const [name, item] of Object.entries(value.attributes ?? {})) {
    message.message(5, attribute(name, item));
  }
  return value.domain ? message.text(7, value.domain) : message;
}

function valueInfo({ name, type, shape }: OnnxValue): Message {
  const dims = new Message();
  for (const dim of shape) {
    dims.message(1, typeof dim === 'number' ? new Message().integer(1, dim) : new Message().text(2, dim));
  }
  const tensorType = new Message().integer(1, ELEMENT_TYPES[type]).message(2, dims);
  return new Message().text(1, name).message(2, new Message().message(1, tensorType));
}

function graph(value: OnnxGraph): Message {
  const message = new Message();
  for (const item of value.nodes) {
    message.message(1, node(item));
  }
  message.text(2, value.name);
  for (const item of value.initializers) {
    message.message(5, tensor(item));
  }
  for (const item of value.inputs) {
    message.message(11, valueInfo(item));
  }
  for (const item of value.outputs) {
    message.message(12, valueInfo(item));
  }
  return message;
}

/** The bytes of a model file holding `value` as its main graph. */
export function encodeModel(value: OnnxGraph): Uint8Array {
  const opset = (domain: string, version: number) => new Message().text(1, domain).integer(2, version);
  return new Message()
    .integer(1, IR_VERSION)
    .text(2, 'sextant')
    .message(8, opset('', OPSET))
    .message(8, opset('com.microsoft', 1))
    .message(7, graph(value))
    .finish();
}
