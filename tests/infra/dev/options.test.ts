import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { parseOptions } from '../../../infra/dev/options.ts';

const folder = mkdtempSync(join(tmpdir(), 'sextant-options-'));
afterAll(() => rmSync(folder, { recursive: true }));
const parse = (...args: string[]) => parseOptions(args, '/project');

describe('options of npm start', () => {
  test('defaults', () => {
    expect(parse()).toEqual({
      port: 8787,
      exit: false,
      demo: true,
      workers: 1,
      data: '/project/.sextant',
      model: null,
    });
  });

  test('are read', () => {
    const options = parse('--port', '9000', '--workers', '3', '--no-demo', '--data', '/elsewhere');
    expect(options).toMatchObject({ port: 9000, workers: 3, demo: false, data: '/elsewhere' });
  });

  test('help is no error', () => {
    expect(parse('--help')).toBeNull();
    expect(parse('-h', '--port', '9000')).toBeNull();
  });

  test('a model folder becomes an alias', () => {
    writeFileSync(join(folder, 'config.json'), '{}');
    expect(parse('--model', folder)?.model).toEqual({ alias: expect.stringMatching(/^sextant-options-/), folder });
  });

  test('a GGUF file becomes one too, and so does a folder that holds only such', () => {
    const inside = join(folder, 'gguf');
    mkdirSync(inside);
    writeFileSync(join(inside, 'small-q8.gguf'), '');
    expect(parse('--model', join(inside, 'small-q8.gguf'))?.model).toMatchObject({ alias: 'small-q8' });
    expect(parse('--model', inside)?.model).toEqual({ alias: 'gguf', folder: inside });
    expect(() => parse('--model', join(folder, 'config.json'))).toThrow(/neither/);
  });

  test.each([
    [['--workers', '0'], /--workers 0 leaves nobody/],
    [['--port', '0'], /--port is a whole number/],
    [['--port', 'x'], /--port is a whole number/],
    [['--workers', '1.5'], /--workers is a whole number/],
    [['--exit', '--no-demo'], /--no-demo leaves out/],
    [['--model', '/nowhere'], /Hugging Face layout/],
    [['--unknown'], /unknown/i],
  ])('%j is refused', (args, message) => {
    expect(() => parse(...args)).toThrow(message);
  });
});
