import { describe, expect, it } from 'vitest';
import { Message } from '../../../gpu-worker/onnx/protobuf.ts';

const hex = (message: Message) => Buffer.from(message.finish()).toString('hex');

// Expected bytes follow the examples of the Protocol Buffers encoding guide.
describe('the wire format', () => {
  it.each([
    ['a small integer', new Message().integer(1, 150), '089601'],
    ['zero', new Message().integer(1, 0), '0800'],
    ['a negative integer takes ten bytes', new Message().integer(1, -2), '08feffffffffffffffff01'],
    ['an integer beyond 2^53', new Message().integer(1, 2n ** 63n - 1n), '08ffffffffffffffff7f'],
    ['text', new Message().text(2, 'testing'), '120774657374696e67'],
    ['a nested message', new Message().message(3, new Message().integer(1, 150)), '1a03089601'],
    ['packed integers', new Message().integers(6, [3, 270, 86942]), '3206038e029ea705'],
    ['a float', new Message().float(2, 1), '150000803f'],
    ['a field number above 15', new Message().integer(20, 1), 'a00101'],
    ['bytes', new Message().bytes(9, Uint8Array.of(1, 255)), '4a0201ff'],
    ['nothing', new Message(), ''],
  ])('%s', (_, message, expected) => {
    expect(hex(message)).toBe(expected);
  });
});
