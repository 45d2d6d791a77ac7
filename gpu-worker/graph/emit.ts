/**
 * Writing tensors as ONNX nodes. Equal nodes are written once (common subexpressions), and only what the outputs need
 * is written at all.
 */
import {
  ELEMENT_TYPES,
  type OnnxAttribute,
  type OnnxGraph,
  type OnnxNode,
  type OnnxTensor,
  type OnnxValue,
} from '../onnx/model.ts';
import { type DType, type HostArray, hostArray } from './dtype.ts';
import { GraphError } from './errors.ts';
import {
  Constant,
  type ConstantAttributes,
  External,
  type ExternalAttributes,
  Input,
  isNamed,
  nameOf,
  Parameter,
} from './operators/leaves.ts';
import { type Shape, showShape } from './shape.ts';
import type { Emitter, Node, Several, Subgraph, Target, Tensor } from './tensor.ts';
import { topological } from './topology.ts';

const bytesOf = ({ buffer, byteOffset, byteLength }: HostArray) => new Uint8Array(buffer, byteOffset, byteLength);

/** Constants up to this many bytes are compared by content, larger ones by identity. */
const SMALL = 1024;

export class GraphWriter implements Emitter {
  readonly target: Target;
  readonly nodes: OnnxNode[] = [];
  readonly initializers: OnnxTensor[] = [];
  #values = new Map<Tensor, string>();
  readonly #needed = new Set<Tensor>();
  readonly #written = new Map<string, readonly string[]>();
  readonly #prefix: string;
  /** Inputs of the node that is being written. */
  #current: readonly Tensor[] = [];
  #counter = 0;

  /** `prefix` keeps names of nested graphs apart. */
  constructor(target: Target, prefix = '') {
    this.target = target;
    this.#prefix = prefix;
  }

  /** Says under which value name a tensor is already available (an input, a loop-carried value, an outer value). */
  bind(tensor: Tensor, name: string): void {
    this.#values.set(tensor, name);
  }

  /** Writes what the tensors need. */
  write(tensors: readonly Tensor[]): void {
    const nodes = topologicalUntil(tensors, this.#values);
    for (const tensor of [...tensors, ...nodes.flatMap((node) => node.inputs)]) {
      this.#needed.add(tensor);
    }
    for (const node of nodes) {
      this.#writeNode(node);
    }
  }

  /** The name of the value of a tensor that is bound or written. */
  valueName(tensor: Tensor): string {
    const name = this.#values.get(tensor);
    if (name === undefined) {
      throw new Error(`${tensor} is used before it is written`);
    }
    return name;
  }

  #writeNode(node: Node): void {
    const names = node.inputs.map((input) => this.valueName(input));
    this.#current = node.inputs;
    const outputs = this.#leaf(node) ?? node.operator.onnx(this, names, node.attributes, node);
    for (const [i, output] of node.outputs.entries()) {
      this.#values.set(output, outputs[i] ?? '');
    }
  }

  #leaf(node: Node): readonly string[] | undefined {
    const { operator } = node;
    if (operator === Input || operator === Parameter) {
      throw new GraphError('feed_missing', `'${nameOf(node.outputs[0])}' is used but is not an input of this program`);
    }
    if (operator === Constant) {
      const { dtype, shape, data } = node.attributes as ConstantAttributes;
      return [this.#initializer(dtype, shape, data)];
    }
    if (operator === External) {
      const { dtype, shape, data } = node.attributes as ExternalAttributes;
      return [
        this.#once(`external ${dtype} ${shape} ${JSON.stringify(data)}`, (name) => {
          this.initializers.push({ name, type: dtype, dims: shape, data: { external: data } });
        }),
      ];
    }
    return undefined;
  }

  #initializer(type: DType, dims: readonly number[], data: HostArray): string {
    const raw = bytesOf(data);
    const add = (name: string) => void this.initializers.push({ name, type, dims, data: { raw } });
    if (raw.byteLength <= SMALL) {
      return this.#once(`constant ${type} [${dims}] ${raw}`, add);
    }
    const name = this.#name('constant');
    add(name);
    return name;
  }

  #once(key: string, add: (name: string) => void): string {
    const known = this.#written.get(key);
    if (known?.[0] !== undefined) {
      return known[0];
    }
    const name = this.#name('constant');
    this.#written.set(key, [name]);
    add(name);
    return name;
  }

  #name(type: string): string {
    this.#counter += 1;
    return `${this.#prefix}${type}_${this.#counter}`;
  }

  node<Out extends number = 1>(
    type: string,
    inputs: readonly string[],
    attributes: Record<string, OnnxAttribute> = {},
    { domain = '', outputs }: { domain?: string; outputs?: Out } = {},
  ): Several<string, Out> {
    const key = `${domain}:${type}(${inputs.join(',')})${JSON.stringify(attributes)}`;
    const known = this.#written.get(key);
    if (known) {
      return known as Several<string, Out>;
    }
    const names: readonly string[] = Array.from({ length: outputs ?? 1 }, () => this.#name(type));
    this.nodes.push({ type, domain, inputs, outputs: names, attributes });
    this.#written.set(key, names);
    return names as Several<string, Out>;
  }

  int64(values: readonly number[] | number): string {
    return typeof values === 'number'
      ? this.#initializer('int64', [], hostArray('int64', [values]))
      : this.#initializer('int64', [values.length], hostArray('int64', values));
  }

  scalar(value: number, dtype: DType): string {
    if (dtype === 'float16' || dtype === 'bfloat16') {
      return this.node('Cast', [this.scalar(value, 'float32')], { to: ELEMENT_TYPES[dtype] })[0];
    }
    return this.#initializer(dtype, [], hostArray(dtype, [value]));
  }

  shape(shape: Shape): string {
    if (shape.every((dim) => typeof dim === 'number')) {
      return this.int64(shape);
    }
    const parts = shape.map((dim) => {
      if (typeof dim === 'number') {
        return this.int64([dim]);
      }
      for (const input of this.#current) {
        const axis = input.shape.indexOf(dim);
        if (axis >= 0) {
          return this.node('Shape', [this.valueName(input)], { start: axis, end: axis + 1 })[0];
        }
      }
      throw new GraphError('shape_unknown', `no input has the size '${dim}' of ${showShape(shape)}`);
    });
    const [only, ...others] = parts;
    return only !== undefined && others.length === 0 ? only : this.node('Concat', parts, { axis: 0 })[0];
  }

  needs(output: Tensor): boolean {
    return this.#needed.has(output);
  }

  inline(outputs: readonly Tensor[], leaves: ReadonlyMap<Tensor, string>): string[] {
    const [values, current] = [this.#values, this.#current];
    this.#values = new Map(leaves);
    this.write(outputs);
    const names = outputs.map((output) => this.valueName(output));
    this.#values = values;
    this.#current = current;
    return names;
  }

  subgraph(name: string, { carried, given, outer, results }: Subgraph): OnnxGraph {
    const prefix = `${this.#name(name)}_`;
    const inner = new GraphWriter(this.target, prefix);
    for (const [leaf, value] of outer) {
      inner.bind(leaf, value);
    }
    const port = (part: string, i: number, { dtype, shape }: Tensor): OnnxValue => ({
      name: `${prefix}${part}_${i}`,
      type: dtype,
      shape,
    });
    const sums = carried.map((tensor, i) => ({ tensor, value: port('sum', i, tensor) }));
    const inputs = given.map((tensor, i) => ({ tensor, value: port('given', i, tensor) }));
    for (const { tensor, value } of inputs) {
      inner.bind(tensor, value.name);
    }
    inner.write([...carried, ...results]);
    const names = [
      ...sums.map(({ tensor, value }) => inner.node('Add', [value.name, inner.valueName(tensor)])[0]),
      ...results.map((tensor) => inner.valueName(tensor)),
    ];
    const outputs = [...carried, ...results].map((tensor, i) => port('out', i, tensor));
    const nodes = inner.publish(names.map((value, i) => ({ name: `${prefix}out_${i}`, value })));
    const read = [...sums, ...inputs].map(({ value }) => value);
    return { name: `${prefix}body`, nodes, inputs: read, outputs, initializers: inner.initializers };
  }

  /** Files that the written weights lie in. */
  weightFiles(): string[] {
    return [...new Set(this.initializers.flatMap(({ data }) => ('external' in data ? [data.external.file] : [])))];
  }

  /**
   * Gives the written values the names wanted from outside. A value that is an input, a constant or wanted twice gets
   * an Identity; any other is simply renamed.
   */
  publish(outputs: readonly { name: string; value: string }[]): OnnxNode[] {
    const produced = new Set(this.nodes.flatMap((node) => node.outputs));
    const renamed = new Map<string, string>();
    const copies: OnnxNode[] = [];
    for (const { name, value } of outputs) {
      if (produced.has(value) && !renamed.has(value)) {
        renamed.set(value, name);
      } else {
        copies.push({ type: 'Identity', inputs: [value], outputs: [name] });
      }
    }
    const rename = (name: string) => renamed.get(name) ?? name;
    return [...this.nodes, ...copies].map((node) => ({
      ...renamedInputs(node, rename),
      outputs: copies.includes(node) ? node.outputs : node.outputs.map(rename),
    }));
  }
}

/** A node that reads its inputs, and those of its subgraphs that lie outside them, under other names. */
function renamedInputs(node: OnnxNode, rename: (name: string) => string): OnnxNode {
  const attributes = Object.entries(node.attributes ?? {}).map(([key, value]): [string, OnnxAttribute] => {
    if (typeof value !== 'object' || !('graph' in value)) {
      return [key, value];
    }
    const { graph } = value;
    return [key, { graph: { ...graph, nodes: graph.nodes.map((inner) => renamedInputs(inner, rename)) } }];
  });
  return { ...node, inputs: node.inputs.map(rename), attributes: Object.fromEntries(attributes) };
}

/** Topological order that stops at tensors that already have a value. */
function topologicalUntil(tensors: readonly Tensor[], known: ReadonlyMap<Tensor, string>): Node[] {
  const missing = tensors.filter((tensor) => !known.has(tensor));
  return topological(missing, (tensor) => known.has(tensor));
}

/** The inputs and parameters that `outputs` depend on; two different ones of one name are refused. */
export function namedLeaves(outputs: readonly Tensor[]): Tensor[] {
  const byName = new Map<string, Tensor>();
  for (const node of topological(outputs)) {
    const tensor = node.outputs[0];
    if (!isNamed(tensor)) {
      continue;
    }
    const name = nameOf(tensor);
    if (byName.has(name)) {
      throw new GraphError('name_conflict', `two different inputs are called '${name}'`);
    }
    byName.set(name, tensor);
  }
  return [...byName.values()];
}
