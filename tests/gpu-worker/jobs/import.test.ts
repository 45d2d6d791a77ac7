/** Things that a tenant brings along: autoencoders, models in files and archives, adapters; and what is refused of them. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { crc32, deflateRawSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readFolder, readWeight } from '../../../gpu-worker/lm/weights/folder.ts';
import { SextantError } from '../../../shared/contracts/problem.ts';
import { floatTensor, writeSafetensors } from '../../../shared/formats/safetensors.ts';
import lmGenerate from '../../../shared/jobs/lm.generate.ts';
import modelImport from '../../../shared/jobs/model.import.ts';
import saeEncode from '../../../shared/jobs/sae.encode.ts';
import saeImport from '../../../shared/jobs/sae.import.ts';
import { stream } from '../../../shared/math/random.ts';
import { ggufModel } from '../../support/gguf-model.ts';
import { LocalJobs } from '../../support/job-context.ts';
import { TINY, type TinyModel, tinyModel } from '../../support/tiny-model.ts';
import { wordTokenizer } from '../../support/word-tokenizer.ts';

let tiny: TinyModel;
let jobs: LocalJobs;
const model = { local: 'tiny' };
const WIDTH = 16;

beforeAll(() => {
  tiny = tinyModel(TINY.llama!, { tokenizer: wordTokenizer() });
  jobs = new LocalJobs({ models: { tiny: tiny.folder } });
});
afterAll(() => {
  jobs.close();
  tiny.remove();
});

const json = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
const files = () => readdirSync(tiny.folder).map((name) => ({ name, bytes: readFileSync(join(tiny.folder, name)) }));
const generated = async (reference: unknown) =>
  (await jobs.run(lmGenerate, { model: reference, prompts: ['w3 w7'], max_tokens: 6 })).result.runs[0]!.texts[0]!;

/** One entry of a tar file. */
function entry(name: string, bytes: Uint8Array, { type = '0', size = bytes.length } = {}): Buffer {
  const header = Buffer.alloc(512);
  header.write(name, 0);
  header.write('0000644\0', 100);
  header.write(`${size.toString(8).padStart(11, '0')}\0`, 124);
  header.write('        ', 148);
  header.write(type, 156);
  header.write('ustar\0', 257);
  header.write(
    `${header
      .reduce((sum, byte) => sum + byte, 0)
      .toString(8)
      .padStart(6, '0')}\0 `,
    148,
  );
  return Buffer.concat([header, bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)]);
}
/** A zip file; `size` stands in the place of the true one. */
function zip(
  entries: {
    name: string;
    bytes: Uint8Array;
    deflated?: boolean;
    size?: number;
    flags?: number;
    attributes?: number;
  }[],
): Buffer {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  for (const { name, bytes, deflated = true, size = bytes.length, flags = 0, attributes = 0 } of entries) {
    const packed = deflated ? deflateRawSync(bytes) : Buffer.from(bytes);
    const at = parts.reduce((sum, part) => sum + part.length, 0);
    const text = Buffer.from(name);
    // sizes and offset in the fields of zip64
    const wide = Buffer.alloc(28);
    wide.writeUInt16LE(1, 0);
    wide.writeUInt16LE(24, 2);
    for (const [i, n] of [size, packed.length, at].entries()) {
      wide.writeBigUInt64LE(BigInt(n), 4 + 8 * i);
    }
    const local = Buffer.alloc(30);
    local.writeUInt32LE(0x04034b50, 0);
    local.writeUInt16LE(text.length, 26);
    parts.push(local, text, packed);
    const entry = Buffer.alloc(46);
    entry.writeUInt32LE(0x02014b50, 0);
    entry.writeUInt16LE(flags, 8);
    entry.writeUInt16LE(deflated ? 8 : 0, 10);
    entry.writeUInt32LE(crc32(bytes), 16);
    entry.fill(0xff, 20, 28);
    entry.writeUInt16LE(text.length, 28);
    entry.writeUInt16LE(wide.length, 30);
    entry.writeUInt32LE(attributes, 38);
    entry.fill(0xff, 42, 46);
    directory.push(entry, text, wide);
  }
  const at = parts.reduce((sum, part) => sum + part.length, 0);
  const whole = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt32LE(whole.length, 12);
  end.writeUInt32LE(at, 16);
  return Buffer.concat([...parts, whole, end]);
}
const tar = (...entries: Buffer[]) => Buffer.concat([...entries, Buffer.alloc(1024)]);

describe('model.import', () => {
  it('publishes the files of a folder, the large ones in parts, as the same model', async () => {
    const source = {
      files: files().map(({ name, bytes }) => {
        const half = Math.ceil(bytes.length / 2);
        const parts = [bytes.subarray(0, half), bytes.subarray(half)].filter((part) => part.length > 0);
        return { name, parts: parts.map((part) => jobs.upload(name, part)) };
      }),
    };
    const { result } = await jobs.run(modelImport, { source });
    expect(result).toMatchObject({ family: 'llama', left_out: [], merged: null });
    expect(await generated({ id: result.model })).toEqual(await generated(model));
  });

  it('publishes what an archive holds of a model, and opens no pickle', async () => {
    const entries = files().map(({ name, bytes }) => entry(`tiny/${name}`, bytes));
    const archive = tar(
      entry('tiny/', new Uint8Array(), { type: '5' }),
      ...entries,
      entry('tiny/optimizer.pt', json({})),
    );
    const zipped = zip([
      ...files().map(({ name, bytes }, i) => ({ name: `tiny/${name}`, bytes, deflated: i % 2 === 0 })),
      { name: 'tiny/', bytes: new Uint8Array(), deflated: false },
      { name: 'tiny/optimizer.pt', bytes: json({}) },
    ]);
    const parts = [archive, gzipSync(archive), zipped];
    for (const bytes of parts) {
      const { result } = await jobs.run(modelImport, { source: { archive: [jobs.upload('tiny.tar', bytes)] } });
      expect(result.left_out).toEqual(['tiny/optimizer.pt']);
      expect(await generated({ id: result.model })).toEqual(await generated(model));
    }
  });

  it('publishes a GGUF file by itself', async () => {
    const gguf = ggufModel();
    const parts = [jobs.upload('model.gguf', readFileSync(gguf.path))];
    const { result } = await jobs.run(modelImport, { source: { files: [{ name: 'model.gguf', parts }] } });
    gguf.remove();
    expect(result).toMatchObject({ family: 'llama', files: [{ name: 'model.gguf' }] });
    const manifest = jobs.published.get(result.model)!;
    expect(manifest.blobs.map(({ name }) => name)).toEqual(['model.gguf']);
    const broken = [jobs.upload('model.gguf', jobs.read(manifest.blobs[0]!).subarray(0, 500))];
    const source = { files: [{ name: 'model.gguf', parts: broken }] };
    await expect(jobs.run(modelImport, { source })).rejects.toBeInstanceOf(SextantError);
  });

  it('refuses archives that unpack to too much, lead elsewhere, or are none', async () => {
    const config = entry('config.json', json({}));
    const cases: [Buffer, RegExp, number?][] = [
      [
        tar(config, entry('model.safetensors', new Uint8Array(8), { size: 8 ** 11 - 1 })),
        /more than 1000000 bytes/,
        1e6,
      ],
      [gzipSync(tar(config, entry('model.safetensors', new Uint8Array(3e6)))), /more than 1000000 bytes/, 1e6],
      [tar(entry('../config.json', json({}))), /leads out/],
      [tar(entry('/etc/config.json', json({}))), /leads out/],
      [tar(entry('config.json', new Uint8Array(), { type: '2' })), /link/],
      [Buffer.from('PK\u0003\u0004 and so on'), /zip file that breaks off/],
      [zip([{ name: 'model.safetensors', bytes: new Uint8Array(8), size: 1e12 }]), /more than 1000000 bytes/, 1e6],
      [zip([{ name: 'model.safetensors', bytes: new Uint8Array(3e6), size: 8 }]), /more bytes than were announced/],
      [zip([{ name: 'config.json', bytes: json({}), size: 9 }]), /checksum/],
      [zip([{ name: '../config.json', bytes: json({}) }]), /leads out/],
      [zip([{ name: 'config.json', bytes: json({}), flags: 1 }]), /encrypted/],
      [zip([{ name: 'config.json', bytes: json({}), attributes: 0xa1ff0000 }]), /link/],
      [zip([{ name: 'config.json', bytes: json({}) }]).subarray(0, 70), /breaks off/],
      [Buffer.alloc(2000, 'text'), /no tar file/],
      [gzipSync(tar(config)).subarray(0, 60), /the archive/],
      [tar(config, config), /twice/],
      [tar(entry('pytorch_model.bin', json({}))), /pickle/],
    ];
    for (const [bytes, detail, max_bytes = 1e9] of cases) {
      const source = { archive: [jobs.upload('bad.tar', bytes)] };
      await expect(jobs.run(modelImport, { source, max_bytes })).rejects.toMatchObject({
        code: 'data_invalid',
        message: expect.stringMatching(detail),
      });
    }
  });

  it('merges a LoRA adapter into its base, and refuses one of another', async () => {
    const random = stream(7, 'lora');
    const module = 'model.layers.1.self_attn.q_proj';
    const [r, alpha] = [3, 6];
    const a = random.derive('a').normal32(r * WIDTH);
    const b = random.derive('b').normal32(WIDTH * r);
    const config = { peft_type: 'LORA', r, lora_alpha: alpha, bias: 'none', target_modules: ['q_proj'] };
    const adapter = (of: string, rows = WIDTH, more: Record<string, unknown> = {}) => ({
      files: [
        { name: 'adapter_config.json', parts: [jobs.upload('c', json({ ...config, ...more }))] },
        {
          name: 'adapter_model.safetensors',
          parts: [
            jobs.upload(
              'w',
              writeSafetensors([
                floatTensor(`base_model.model.${of}.lora_A.weight`, [r, WIDTH], a),
                floatTensor(`base_model.model.${of}.lora_B.weight`, [rows, r], b.subarray(0, rows * r)),
              ]),
            ),
          ],
        },
      ],
    });
    const { result, published } = await jobs.run(modelImport, { source: adapter(module), base: model });
    expect(result.merged).toBe(1);
    const blob = published[0]!.blobs.find(({ name }) => name === 'model.safetensors')!;
    const before = readWeight(readFolder(tiny.folder), `${module}.weight`);
    const { readSafetensors } = await import('../../../shared/formats/safetensors.ts');
    const after = readSafetensors(jobs.read(blob)).float32(`${module}.weight`);
    for (let o = 0; o < WIDTH; o++) {
      for (let i = 0; i < WIDTH; i++) {
        let added = 0;
        for (let k = 0; k < r; k++) {
          added += b[o * r + k]! * a[k * WIDTH + i]!;
        }
        expect(after[o * WIDTH + i]).toBeCloseTo(before[o * WIDTH + i]! + (alpha / r) * added, 4);
      }
    }
    const run = (source: unknown, base: unknown = model) => jobs.run(modelImport, { source, base });
    await expect(run(adapter('model.layers.9.self_attn.q_proj'))).rejects.toThrow(/adapter of another model/);
    await expect(run(adapter(module, 8))).rejects.toThrow(/adapter of another model/);
    await expect(run(adapter(module, WIDTH, { use_dora: true }))).rejects.toMatchObject({ code: 'model_unsupported' });
    await expect(run(adapter(module), null)).rejects.toThrow(/name the model/);
  });
});

describe('sae.import', () => {
  const [inputs, width] = [WIDTH, 24];
  const random = stream(3, 'sae');
  const draw = (name: string, size: number) => random.derive(name).normal32(size, { deviation: 0.5 });
  const weights = () =>
    writeSafetensors([
      floatTensor('W_enc', [inputs, width], draw('e', inputs * width)),
      floatTensor('W_dec', [width, inputs], draw('d', inputs * width)),
      floatTensor('b_enc', [width], draw('be', width)),
      floatTensor('b_dec', [inputs], draw('bd', inputs)),
    ]);
  const config = {
    architecture: 'topk',
    d_in: inputs,
    d_sae: width,
    activation_fn_kwargs: { k: 4 },
    apply_b_dec_to_input: true,
  };

  it('publishes an autoencoder of another library, which then encodes', async () => {
    const params = {
      weights: jobs.upload('sae_weights.safetensors', weights()),
      config: jobs.upload('cfg.json', json(config)),
      model,
      hook: 'resid_post.0',
    };
    const { result } = await jobs.run(saeImport, params);
    expect(result).toMatchObject({ inputs, width, k: 4 });
    expect(jobs.published.get(result.sae)!.params.provenance).toBe('uploaded');
    const { result: codes } = await jobs.run(saeEncode, { model, sae: result.sae, texts: ['w3 w7'] });
    expect(codes.texts[0]!.tokens.at(-1)!.codes).not.toHaveLength(0);
    await expect(jobs.run(saeImport, { ...params, hook: 'mlp_act.0' })).rejects.toMatchObject({
      code: 'width_mismatch',
    });
  });

  it('opens no pickle', async () => {
    const pickle = jobs.upload('ae.pt', Uint8Array.of(0x80, 0x02, 0x7d, 0x71, 0x00, 0x2e));
    const params = { weights: pickle, model, hook: 'resid_post.0' };
    await expect(jobs.run(saeImport, params)).rejects.toMatchObject({ code: 'data_invalid' });
  });
});
