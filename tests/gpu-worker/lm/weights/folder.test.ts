import { cpSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it, onTestFinished } from 'vitest';
import { loadModel } from '../../../../gpu-worker/lm/inference/model.ts';
import { floatTensor, readSafetensors, writeSafetensors } from '../../../../shared/formats/safetensors.ts';
import { gap, randomRows, TINY, tinyModel } from '../../../support/tiny-model.ts';

const original = tinyModel(TINY.llama!);
afterAll(original.remove);
const weights = readSafetensors(readFileSync(join(original.folder, 'model.safetensors')));
const names = [...weights.header.tensors.keys()];
const tensor = (name: string, dtype: 'F32' | 'F16' | 'BF16' = 'F32', as = name) =>
  floatTensor(as, weights.shape(name), weights.float32(name).slice(), dtype);

/** A copy of the model's folder with changes. */
function folderWith(change: (path: string, write: (file: string, bytes: Uint8Array | string) => void) => void): string {
  const copy = tinyModel(TINY.llama!);
  onTestFinished(copy.remove);
  rmSync(copy.folder, { recursive: true });
  cpSync(original.folder, copy.folder, { recursive: true });
  change(copy.folder, (file, bytes) => writeFileSync(join(copy.folder, file), bytes));
  return copy.folder;
}

async function logitsOf(folder: string): Promise<Float32Array> {
  const model = await loadModel(folder, { threads: 1 });
  const { logits } = await model.forward({ ids: randomRows([9, 4]) });
  await model.release();
  return logits!.data;
}

describe('a model folder', () => {
  it('may be in shards', async () => {
    const folder = folderWith((path, write) => {
      rmSync(join(path, 'model.safetensors'));
      const half = names.length >> 1;
      const parts = {
        'model-00001-of-00002.safetensors': names.slice(0, half),
        'model-00002-of-00002.safetensors': names.slice(half),
      };
      for (const [file, part] of Object.entries(parts)) {
        write(file, writeSafetensors(part.map((name) => tensor(name))));
      }
      const weight_map = Object.fromEntries(
        Object.entries(parts).flatMap(([file, part]) => part.map((name) => [name, file])),
      );
      write('model.safetensors.index.json', JSON.stringify({ metadata: {}, weight_map }));
    });
    expect(gap(await logitsOf(folder), await logitsOf(original.folder))).toBe(0);
  });

  it.each(['F16', 'BF16'] as const)('may hold %s, which computes what its widened values compute', async (dtype) => {
    const bytes = writeSafetensors(names.map((name) => tensor(name, dtype)));
    const narrow = readSafetensors(bytes);
    const stored = folderWith((_, write) => write('model.safetensors', bytes));
    const widened = folderWith((_, write) =>
      write(
        'model.safetensors',
        writeSafetensors(names.map((name) => floatTensor(name, narrow.shape(name), narrow.float32(name)))),
      ),
    );
    const [a, b] = [await logitsOf(stored), await logitsOf(widened)];
    expect(gap(a, b)).toBeLessThan(1e-6);
    expect(gap(a, await logitsOf(original.folder))).toBeGreaterThan(0);
  });

  it('may lack the prefix of the bare model, and may hold tensors that nobody needs', async () => {
    const extra = floatTensor('rotary.inv_freq', [2], new Float32Array(2));
    const folder = folderWith((_, write) =>
      write(
        'model.safetensors',
        writeSafetensors([extra, ...names.map((name) => tensor(name, 'F32', name.replace(/^model\./, '')))]),
      ),
    );
    expect(gap(await logitsOf(folder), await logitsOf(original.folder))).toBe(0);
  });

  it('uses the head that it stores although its config ties it, where that has other values', async () => {
    const [embedding, head] = ['model.embed_tokens.weight', 'lm_head.weight'];
    const tied = (changed: (name: string) => ReturnType<typeof tensor>) =>
      folderWith((_, write) => {
        write('config.json', JSON.stringify({ ...TINY.llama!, tie_word_embeddings: true }));
        write('model.safetensors', writeSafetensors(names.map(changed)));
      });
    const own = tied((name) => tensor(name));
    const same = tied((name) => (name === head ? tensor(embedding, 'F32', head) : tensor(name)));
    const narrow = tied((name) => tensor(name, name === head ? 'BF16' : 'F32'));
    expect(gap(await logitsOf(own), await logitsOf(original.folder))).toBe(0);
    expect(gap(await logitsOf(narrow), await logitsOf(original.folder))).toBeLessThan(0.1);
    const model = await loadModel(same, { threads: 1 });
    expect(model.architecture.tied).toBe(true);
    await model.release();
  });

  it.each(['one file', 'shards'])(
    'may be a snapshot of a cache, every file a link into its blobs: %s',
    async (kind) => {
      const folder = folderWith((path, write) => {
        const half = names.length >> 1;
        const parts = kind === 'shards' ? [names.slice(0, half), names.slice(half)] : [names];
        const files = parts.map((_, i) => `model-${i}.safetensors`);
        rmSync(join(path, 'model.safetensors'));
        for (const [i, part] of parts.entries()) {
          write(files[i]!, writeSafetensors(part.map((name) => tensor(name))));
        }
        const weight_map = Object.fromEntries(parts.flatMap((part, i) => part.map((name) => [name, files[i]!])));
        write('model.safetensors.index.json', JSON.stringify({ weight_map }));
        mkdirSync(join(path, 'snapshots', 'abc'), { recursive: true });
        mkdirSync(join(path, 'blobs'));
        for (const [i, file] of [...files, 'config.json', 'model.safetensors.index.json'].entries()) {
          renameSync(join(path, file), join(path, 'blobs', `digest${i}`));
          symlinkSync(`../../blobs/digest${i}`, join(path, 'snapshots', 'abc', file));
        }
      });
      expect(gap(await logitsOf(join(folder, 'snapshots', 'abc')), await logitsOf(original.folder))).toBe(0);
    },
  );

  it('may hold the buffers that its library makes anew', async () => {
    const buffers = ['model.layers.0.self_attn.rotary_emb.inv_freq', 'model.rotary_emb.inv_freq'];
    const more = buffers.map((name) => floatTensor(name, [2], new Float32Array(2)));
    const folder = folderWith((_, write) =>
      write('model.safetensors', writeSafetensors([...more, ...names.map((name) => tensor(name))])),
    );
    expect(gap(await logitsOf(folder), await logitsOf(original.folder))).toBe(0);
  });

  const broken: [
    string,
    string,
    (path: string, write: (file: string, bytes: Uint8Array | string) => void) => void,
    RegExp,
  ][] = [
    ['no config', 'model_unknown', (path) => rmSync(join(path, 'config.json')), /config\.json/],
    ['a config that is no JSON', 'weights_invalid', (_, write) => write('config.json', '{'), /config\.json/],
    ['no weights', 'weights_invalid', (path) => rmSync(join(path, 'model.safetensors')), /neither/],
    [
      'a truncated file',
      'weights_invalid',
      (path, write) => write('model.safetensors', readFileSync(join(path, 'model.safetensors')).subarray(0, -7)),
      /out_of_bounds/,
    ],
    [
      'a missing tensor',
      'weights_invalid',
      (_, write) => write('model.safetensors', writeSafetensors(names.slice(1).map((name) => tensor(name)))),
      /'model\.embed_tokens\.weight' is missing/,
    ],
    [
      'a tensor of another shape',
      'weights_invalid',
      (_, write) =>
        write(
          'model.safetensors',
          writeSafetensors(
            names.map((name) =>
              name === 'model.norm.weight' ? floatTensor(name, [15], new Float32Array(15)) : tensor(name),
            ),
          ),
        ),
      /'model\.norm\.weight' has shape \[15\]; by config\.json it must be \[16\]/,
    ],
    [
      'integer weights',
      'weights_invalid',
      (_, write) =>
        write(
          'model.safetensors',
          writeSafetensors(
            names.map((name) =>
              name === 'model.norm.weight'
                ? { name, dtype: 'I8', shape: [16], bytes: new Uint8Array(16) }
                : tensor(name),
            ),
          ),
        ),
      /dtype I8/,
    ],
    [
      'a missing shard',
      'weights_invalid',
      (path, write) => {
        rmSync(join(path, 'model.safetensors'));
        write(
          'model.safetensors.index.json',
          JSON.stringify({ weight_map: { 'lm_head.weight': 'model-00001-of-00002.safetensors' } }),
        );
      },
      /shard model-00001-of-00002\.safetensors is missing/,
    ],
    [
      'a shard outside the folder',
      'weights_invalid',
      (path, write) => {
        rmSync(join(path, 'model.safetensors'));
        write(
          'model.safetensors.index.json',
          JSON.stringify({ weight_map: { 'lm_head.weight': '../model.safetensors' } }),
        );
      },
      /names a shard/,
    ],
    [
      'a weight that nothing reads',
      'model_unsupported',
      (_, write) =>
        write(
          'model.safetensors',
          writeSafetensors([
            floatTensor('model.layers.1.mlp.up_proj.bias', [24], new Float32Array(24)),
            ...names.map((name) => tensor(name)),
          ]),
        ),
      /does not read: model\.layers\.1\.mlp\.up_proj\.bias$/,
    ],
    [
      'more layers than its config has',
      'model_unsupported',
      (_, write) => write('config.json', JSON.stringify({ ...TINY.llama!, num_hidden_layers: 1 })),
      /does not read: .*model\.layers\.1\./,
    ],
    [
      'an unknown field',
      'model_unsupported',
      (_, write) => write('config.json', JSON.stringify({ ...TINY.llama!, logit_scale: 2 })),
      /logit_scale/,
    ],
  ];
  it.each(broken)('with %s is refused', async (_what, code, change, message) => {
    const folder = folderWith(change);
    await expect(loadModel(folder)).rejects.toMatchObject({ code, message: expect.stringMatching(message) as string });
  });
});

describe('a batch', () => {
  it.each<[string, number[][], string]>([
    ['longer than the context', [new Array<number>(33).fill(1)], 'context_exceeded'],
    ['with a token of another vocabulary', [[60, 61]], 'tokenizer_mismatch'],
    ['with a negative token', [[-1]], 'tokenizer_mismatch'],
    ['with an empty row', [[1], []], 'data_invalid'],
    ['without rows', [], 'data_invalid'],
  ])('%s is refused', async (_what, ids, code) => {
    const model = await loadModel(original.folder, { threads: 1 });
    await expect(model.forward({ ids })).rejects.toMatchObject({ code });
    await model.release();
  });
});
