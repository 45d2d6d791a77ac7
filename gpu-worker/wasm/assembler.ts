/**
 * A small WebAssembly assembler: kernels are written as TypeScript that emits instructions, and the module is made in
 * memory when it is first needed, so there is no binary to keep in step with its source. Opcodes: WebAssembly Core
 * Specification 3.0, with 128-bit SIMD, relaxed SIMD and shared memory.
 */

type ValueType = 'i32' | 'f32' | 'f64' | 'v128';
/** Bytes of instructions that leave one value of the stated type on the stack, or none. */
export type Code = readonly number[];

const TYPE_BYTE: Readonly<Record<ValueType, number>> = { i32: 0x7f, f32: 0x7d, f64: 0x7c, v128: 0x7b };

function unsigned(value: number): number[] {
  const out: number[] = [];
  let rest = value >>> 0;
  do {
    const byte = rest & 0x7f;
    rest >>>= 7;
    out.push(rest ? byte | 0x80 : byte);
  } while (rest);
  return out;
}

function signed(value: number): number[] {
  const out: number[] = [];
  let rest = value | 0;
  for (;;) {
    const byte = rest & 0x7f;
    rest >>= 7;
    const done = (rest === 0 && !(byte & 0x40)) || (rest === -1 && byte & 0x40);
    out.push(done ? byte : byte | 0x80);
    if (done) {
      return out;
    }
  }
}

const binary =
  (...opcode: number[]) =>
  (a: Code, b: Code): Code => [...a, ...b, ...opcode];
const unary =
  (...opcode: number[]) =>
  (a: Code): Code => [...a, ...opcode];
/** A SIMD opcode: prefix 0xfd and the index. */
const simd = (index: number): number[] => [0xfd, ...unsigned(index)];
const load =
  (...opcode: number[]) =>
  (address: Code, offset = 0): Code => [...address, ...opcode, 2, ...unsigned(offset)];
const store =
  (...opcode: number[]) =>
  (address: Code, value: Code, offset = 0): Code => [...address, ...value, ...opcode, 2, ...unsigned(offset)];

export const i32 = {
  const: (value: number): Code => [0x41, ...signed(value)],
  add: binary(0x6a),
  sub: binary(0x6b),
  mul: binary(0x6c),
  shl: binary(0x74),
  and: binary(0x71),
  lt: binary(0x48),
  ge: binary(0x4e),
  eq: binary(0x46),
  load: load(0x28),
  store: store(0x36),
};
const floatBytes = (value: number, wide: boolean): number[] => [
  ...new Uint8Array(wide ? new Float64Array([value]).buffer : new Float32Array([value]).buffer),
];
export const f32 = {
  const: (value: number): Code => [0x43, ...floatBytes(value, false)],
  add: binary(0x92),
  sub: binary(0x93),
  mul: binary(0x94),
  div: binary(0x95),
  sqrt: unary(0x91),
  eq: binary(0x5b),
  gt: binary(0x5e),
  load: load(0x2a),
  store: store(0x38),
};
export const f64 = {
  const: (value: number): Code => [0x44, ...floatBytes(value, true)],
  add: binary(0xa0),
  fromF32: unary(0xbb),
  store: store(0x39),
};
export const v128 = {
  load: load(...simd(0)),
  store: store(...simd(11)),
  /** One 32-bit number in all four lanes. */
  loadSplat: load(...simd(9)),
  and: binary(...simd(78)),
};
/** Four 32-bit floats. */
export const f32x4 = {
  splat: unary(...simd(19)),
  lane: (value: Code, index: number): Code => [...value, ...simd(31), index],
  add: binary(...simd(228)),
  sub: binary(...simd(229)),
  mul: binary(...simd(230)),
  div: binary(...simd(231)),
  sqrt: unary(...simd(227)),
  abs: unary(...simd(224)),
  gt: binary(...simd(68)),
  /** a b + c, rounded once or twice as the processor does it fastest (relaxed SIMD). */
  relaxedMultiplyAdd: (a: Code, b: Code, c: Code): Code => [...a, ...b, ...c, ...simd(0x105)],
};

export class Local {
  readonly index: number;
  readonly type: ValueType;
  readonly get: Code;
  constructor(index: number, type: ValueType) {
    this.index = index;
    this.type = type;
    this.get = [0x20, ...unsigned(index)];
  }
  set(value: Code): Code {
    return [...value, 0x21, ...unsigned(this.index)];
  }
}

/** The body of one function, written statement by statement. */
export class Body {
  readonly #code: number[] = [];
  readonly #types: ValueType[] = [];
  readonly #parameters: number;

  constructor(parameters: number) {
    this.#parameters = parameters;
  }

  do(...statements: Code[]): void {
    for (const statement of statements) {
      for (const byte of statement) {
        this.#code.push(byte);
      }
    }
  }

  local(type: ValueType): Local {
    this.#types.push(type);
    return new Local(this.#parameters + this.#types.length - 1, type);
  }

  /** A new local that holds `value`. */
  let(type: ValueType, value: Code): Local {
    const local = this.local(type);
    this.do(local.set(value));
    return local;
  }

  /** `for (i = from; i < to; i += step)`; bounds are evaluated before every round. */
  for(from: Code, to: Code, step: Code, body: (i: Local) => void): void {
    const i = this.let('i32', from);
    this.while(i32.lt(i.get, to), () => {
      body(i);
      this.do(i.set(i32.add(i.get, step)));
    });
  }

  while(condition: Code, body: () => void): void {
    // block { loop { br_if 1 (not condition); body; br 0 } }
    this.do([0x02, 0x40, 0x03, 0x40], condition, [0x45, 0x0d, 1]);
    body();
    this.do([0x0c, 0, 0x0b, 0x0b]);
  }

  if(condition: Code, then: () => void, otherwise?: () => void): void {
    this.do(condition, [0x04, 0x40]);
    then();
    if (otherwise) {
      this.do([0x05]);
      otherwise();
    }
    this.do([0x0b]);
  }

  finish(): number[] {
    const groups = this.#types.flatMap((type) => [1, TYPE_BYTE[type]]);
    const content = [...unsigned(this.#types.length), ...groups, ...this.#code, 0x0b];
    return [...unsigned(content.length), ...content];
  }
}

type Kernel<P extends Record<string, ValueType> = Record<string, ValueType>> = {
  name: string;
  parameters: P;
  write(body: Body, parameters: { readonly [K in keyof P]: Local }): void;
};
/** Declares a kernel: a function without result that works on the shared memory. */
export const kernel = <const P extends Record<string, ValueType>>(
  name: string,
  parameters: P,
  write: Kernel<P>['write'],
): Kernel => ({ name, parameters, write }) as unknown as Kernel;

const section = (id: number, content: readonly number[]): number[] => [id, ...unsigned(content.length), ...content];
const text = (value: string): number[] => [...unsigned(value.length), ...new TextEncoder().encode(value)];

/** The bytes of a module that imports shared memory `env.memory` and exports the kernels by name. */
export function assemble(kernels: readonly Kernel[], maximumPages: number): Uint8Array<ArrayBuffer> {
  const types = kernels.flatMap(({ parameters }) => {
    const list = Object.values(parameters);
    return [0x60, ...unsigned(list.length), ...list.map((type) => TYPE_BYTE[type]), 0];
  });
  const bodies = kernels.flatMap(({ parameters, write }) => {
    const names = Object.entries(parameters);
    const body = new Body(names.length);
    write(body, Object.fromEntries(names.map(([name, type], i) => [name, new Local(i, type)])));
    return body.finish();
  });
  const count = unsigned(kernels.length);
  const memory = [...text('env'), ...text('memory'), 2, 3, ...unsigned(1), ...unsigned(maximumPages)];
  return Uint8Array.from([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, [...count, ...types]),
    ...section(2, [1, ...memory]),
    ...section(3, [...count, ...kernels.flatMap((_, i) => unsigned(i))]),
    ...section(7, [...count, ...kernels.flatMap(({ name }, i) => [...text(name), 0, ...unsigned(i)])]),
    ...section(10, [...count, ...bodies]),
  ]);
}
