/**
 * Protocol Buffers wire format, the writing half: the four field kinds that ONNX messages use. Bytes are gathered as
 * parts and joined once, so large tensor payloads are copied a single time.
 */

const encoder = new TextEncoder();

function varint(value: bigint): Uint8Array {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, value);
  do {
    const low = Number(rest & 0x7fn);
    rest >>= 7n;
    bytes.push(rest === 0n ? low : low | 0x80);
  } while (rest !== 0n);
  return Uint8Array.from(bytes);
}

const WIRE_VARINT = 0;
const WIRE_LENGTH = 2;
const WIRE_FIXED32 = 5;

/** One message under construction. Field numbers are those of the `.proto` file. */
export class Message {
  readonly parts: Uint8Array[] = [];
  byteLength = 0;

  #push(part: Uint8Array): void {
    this.parts.push(part);
    this.byteLength += part.byteLength;
  }

  #tag(field: number, wire: number): void {
    this.#push(varint(BigInt(field * 8 + wire)));
  }

  integer(field: number, value: number | bigint): this {
    this.#tag(field, WIRE_VARINT);
    this.#push(varint(BigInt(value)));
    return this;
  }

  float(field: number, value: number): this {
    this.#tag(field, WIRE_FIXED32);
    const part = new Uint8Array(4);
    new DataView(part.buffer).setFloat32(0, value, true);
    this.#push(part);
    return this;
  }

  bytes(field: number, value: Uint8Array): this {
    this.#tag(field, WIRE_LENGTH);
    this.#push(varint(BigInt(value.byteLength)));
    this.#push(value);
    return this;
  }

  text(field: number, value: string): this {
    return this.bytes(field, encoder.encode(value));
  }

  message(field: number, value: Message): this {
    this.#tag(field, WIRE_LENGTH);
    this.#push(varint(BigInt(value.byteLength)));
    for (const part of value.parts) {
      this.#push(part);
    }
    return this;
  }

  /** Repeated integers in the packed encoding. */
  integers(field: number, values: readonly (number | bigint)[]): this {
    const packed = new Message();
    for (const value of values) {
      packed.#push(varint(BigInt(value)));
    }
    return this.message(field, packed);
  }

  finish(): Uint8Array {
    const joined = new Uint8Array(this.byteLength);
    let offset = 0;
    for (const part of this.parts) {
      joined.set(part, offset);
      offset += part.byteLength;
    }
    return joined;
  }
}
