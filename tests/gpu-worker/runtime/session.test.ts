import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as g from '../../../gpu-worker/graph/index.ts';
import { chooseProvider, Session } from '../../../gpu-worker/runtime/index.ts';

const double = (name: string, shape: g.Shape = ['n', 2]) => g.compile({ y: g.mul(g.input('x', shape), 2) }, { name });

describe('a session', () => {
  it('takes symbolic sizes, zero included, and reports the shapes it returns', async () => {
    const session = await Session.create(double('double'));
    const { y } = await session.run({ x: { shape: [3, 2], data: Float32Array.of(1, 2, 3, 4, 5, 6) } });
    expect(y).toEqual({ dtype: 'float32', shape: [3, 2], data: Float32Array.of(2, 4, 6, 8, 10, 12) });
    const none = await session.run({ x: { shape: [0, 2], data: new Float32Array(0) } });
    expect(none.y!.shape).toEqual([0, 2]);
    await session.release();
  });

  it.each([
    ['no value', {}, 'feed_missing'],
    ['no shape', { x: new Float32Array(6) }, 'feed_mismatch'],
    ['too few values', { x: { shape: [3, 2], data: new Float32Array(5) } }, 'feed_mismatch'],
    ['another rank', { x: { shape: [6], data: new Float32Array(6) } }, 'feed_mismatch'],
    ['another size', { x: { shape: [2, 3], data: new Float32Array(6) } }, 'feed_mismatch'],
    ['another element type', { x: { shape: [3, 2], data: new Float64Array(6) } }, 'feed_mismatch'],
    ['a name it does not know', { x: { shape: [1, 2], data: new Float32Array(2) }, z: 1 }, 'feed_mismatch'],
  ])('refuses %s', async (_, feeds, code) => {
    const session = await Session.create(double('double'));
    await expect(session.run(feeds as never)).rejects.toMatchObject({ code });
    await session.release();
  });

  it('refuses symbols that disagree between inputs', async () => {
    const program = g.compile({ y: g.add(g.input('a', ['n']), g.input('b', ['n'])) });
    const session = await Session.create(program);
    const vector = (n: number) => ({ shape: [n], data: new Float32Array(n) });
    await expect(session.run({ a: vector(2), b: vector(3) })).rejects.toMatchObject({ code: 'feed_mismatch' });
    await session.release();
    await expect(session.run({ a: vector(2), b: vector(2) })).rejects.toMatchObject({ code: 'session_released' });
  });

  it('carries int64, int32 and bool', async () => {
    const [ids, flags] = [g.input('ids', [3], 'int64'), g.input('flags', [3], 'bool')];
    const program = g.compile({
      next: g.add(ids, 1),
      chosen: g.where(flags, g.cast(ids, 'int32'), 0),
      flipped: g.not(flags),
    });
    const session = await Session.create(program);
    const out = await session.run({ ids: BigInt64Array.of(1n, -5n, 2n ** 40n), flags: Uint8Array.of(1, 0, 0) });
    expect([...(out.next!.data as BigInt64Array)]).toEqual([2n, -4n, 2n ** 40n + 1n]);
    expect([...(out.chosen!.data as Int32Array)]).toEqual([1, 0, 0]);
    expect([...(out.flipped!.data as Uint8Array)]).toEqual([0, 1, 1]);
    await session.release();
  });

  it('carries 16-bit floats as bit patterns', async () => {
    const x = g.cast(g.input('x', [2], 'float16'), 'float32');
    const session = await Session.create(g.compile({ y: x, twice: g.cast(g.mul(x, 2), 'float16') }));
    const out = await session.run({ x: Uint16Array.of(0x3c00, 0xc100) });
    expect([...(out.y!.data as Float32Array)]).toEqual([1, -2.5]);
    expect(out.twice).toEqual({ dtype: 'float16', shape: [2], data: Uint16Array.of(0x4000, 0xc500) });
    await session.release();
  });

  it('explains a program that the runtime rejects', async () => {
    const broken = { ...double('broken'), bytes: Uint8Array.of(1, 2, 3) };
    await expect(Session.create(broken)).rejects.toMatchObject({ code: 'program_rejected' });
  });
});

describe('weights in files', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'weights-'));
    const file = new Uint8Array(32);
    new Float32Array(file.buffer, 8, 4).set([1, 2, 3, 4]);
    // 1.0, -2.5 as bfloat16 and as float16
    new Uint16Array(file.buffer, 24, 4).set([0x3f80, 0xc020, 0x3c00, 0xc100]);
    writeFileSync(join(folder, 'model.bin'), file);
  });
  afterAll(() => rmSync(folder, { recursive: true }));
  const at = (offset: number, length: number) => ({ file: 'model.bin', offset, length });

  it('are read at their offsets, in any float type', async () => {
    const single = g.external(at(8, 16), [2, 2], 'float32');
    const [brain, half] = [g.external(at(24, 4), [2], 'bfloat16'), g.external(at(28, 4), [2], 'float16')];
    const x = g.input('x', [1, 2]);
    const outputs = {
      y: g.matmul(x, single, { transB: true }),
      b: g.cast(brain, 'float32'),
      h: g.cast(half, 'float32'),
    };
    const program = g.compile(outputs);
    expect(program.weightFiles).toEqual(['model.bin']);
    await expect(Session.create(program)).rejects.toMatchObject({ code: 'program_rejected' });
    const session = await Session.create(program, { weightsFolder: folder });
    const out = await session.run({ x: Float32Array.of(1, 10) });
    expect([...(out.y!.data as Float32Array)]).toEqual([21, 43]);
    expect([...(out.b!.data as Float32Array)]).toEqual([1, -2.5]);
    expect([...(out.h!.data as Float32Array)]).toEqual([1, -2.5]);
    await session.release();
  });
});

describe('providers', () => {
  it('are found by trying; one that is missing gives one sentence', async () => {
    const { provider, refused } = await chooseProvider('auto');
    expect(['cuda', 'webgpu', 'cpu']).toContain(provider);
    for (const { reason } of refused) {
      expect(reason).toMatch(/needs/);
    }
    if (refused.some((item) => item.provider === 'cuda')) {
      await expect(chooseProvider('cuda')).rejects.toMatchObject({ code: 'provider_unavailable' });
      await expect(chooseProvider('cuda')).rejects.toThrow(/CUDA needs an NVIDIA driver/);
    }
  });
});
