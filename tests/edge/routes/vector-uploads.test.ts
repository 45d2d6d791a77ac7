/** POST /v1/vectors: every format, what is checked, and that what it publishes is a vector like any other. */
import { env } from 'cloudflare:workers';
import { beforeAll, expect, it } from 'vitest';
import { modelStatements } from '../../../edge/models/known-models.ts';
import { writeSafetensors } from '../../../shared/formats/safetensors.ts';
import { type Client, newClient, problemOf } from '../support/client.ts';

const WIDTH = 4;
let client: Client;
beforeAll(async () => {
  client = await newClient();
  const description = {
    task: 'language' as const,
    key: 'local:tiny',
    family: 'llama',
    revision: 'r',
    digest: 'd'.repeat(64),
    layers: 2,
    heads: 2,
    width: WIDTH,
    vocabulary: 61,
    context: 32,
    parameters: 100,
    hooks: ['resid_post.0', 'resid_post.1', 'mlp_act.0'],
    storage: null,
  };
  await env.DB.batch(modelStatements(env, client.tenant, [description], Date.now()));
});

const values = Float32Array.of(3, 0, -4, 0);
const bytes = new Uint8Array(values.buffer);
const base64 = (file: Uint8Array) => Buffer.from(file).toString('base64');
const post = (source: unknown, more: Record<string, unknown> = {}) =>
  client.call('POST', '/v1/vectors', { body: { source, model: 'tiny', hook: 'resid_post.1', ...more } });

/** An .npy file of a 1 x 4 array. */
function npy({ version = 1, big = false, fortran = false } = {}): Uint8Array {
  const text = `{'descr': '${big ? '>' : '<'}f4', 'fortran_order': ${fortran ? 'True' : 'False'}, 'shape': (1, 4), }\n`;
  const prefix = version > 1 ? 12 : 10;
  const file = new Uint8Array(prefix + text.length + 16);
  const view = new DataView(file.buffer);
  file.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, version, 0]);
  version > 1 ? view.setUint32(8, text.length, true) : view.setUint16(8, text.length, true);
  file.set(new TextEncoder().encode(text), prefix);
  for (const [i, value] of values.entries()) {
    view.setFloat32(prefix + text.length + 4 * i, value, !big);
  }
  return file;
}

/** A GGUF file of control vectors for layers 0 and 1. */
function gguf(architecture = 'controlvector'): Uint8Array {
  const parts: Uint8Array[] = [];
  const number = (value: number, size: 4 | 8) => {
    const part = new Uint8Array(size);
    new DataView(part.buffer).setUint32(0, value, true);
    parts.push(part);
  };
  const text = (value: string) => {
    number(value.length, 8);
    parts.push(new TextEncoder().encode(value));
  };
  number(0x46554747, 4);
  number(3, 4);
  number(2, 8);
  number(1, 8);
  text('general.architecture');
  number(8, 4);
  text(architecture);
  for (const layer of [0, 1]) {
    text(`direction.${layer}`);
    number(1, 4);
    number(WIDTH, 8);
    number(0, 4);
    number(32 * layer, 8);
  }
  const header = Buffer.concat(parts);
  const file = new Uint8Array(Math.ceil(header.length / 32) * 32 + 64);
  file.set(header);
  file.set(bytes, file.length - 64);
  file.set(bytes, file.length - 32);
  return file;
}

it('reads every format as the same direction, of unit norm, and keeps its norm as the strength', async () => {
  const tensor = { name: 'v', dtype: 'F32' as const, shape: [1, WIDTH], bytes };
  const sources = [
    { format: 'json', values: [...values] },
    { format: 'raw', base64: base64(bytes) },
    { format: 'npy', base64: base64(npy()) },
    { format: 'npy', base64: base64(npy({ version: 2, big: true })) },
    { format: 'npy', base64: base64(npy({ version: 3, fortran: true })) },
    { format: 'safetensors', base64: base64(writeSafetensors([tensor])) },
  ];
  for (const source of sources) {
    const answer = await post(source, { residual_norm: 2 });
    expect(answer.status).toBe(201);
    const { data } = (await answer.json()) as { data: { id: string; method: string; strength: number }[] };
    expect(data).toMatchObject([{ method: 'uploaded', strength: 2.5, model: 'local:tiny', hook: 'resid_post.1' }]);
    const read = await client.call('GET', `/v1/vectors/${data[0]!.id}?format=json`);
    const vector = (await read.json()) as { values: number[] };
    expect(vector.values.map(Math.fround)).toEqual([0.6, 0, -0.8, 0].map(Math.fround));
    expect(vector).toMatchObject({
      provenance: { kind: 'uploaded', format: source.format },
      model_digest: 'd'.repeat(64),
    });
  }
});

it('takes the control vectors of all layers of a file, or of one', async () => {
  const body = { source: { format: 'gguf', base64: base64(gguf()) }, model: 'tiny' };
  const all = await client.call('POST', '/v1/vectors', { body });
  expect(((await all.json()) as { data: { hook: string }[] }).data.map(({ hook }) => hook)).toEqual([
    'resid_post.0',
    'resid_post.1',
  ]);
  const one = await client.call('POST', '/v1/vectors', { body: { ...body, source: { ...body.source, layers: [1] } } });
  expect(((await one.json()) as { data: unknown[] }).data).toHaveLength(1);
});

it('gives a new name to what it publishes', async () => {
  const named = await post({ format: 'json', values: [...values] }, { name: 'mine' });
  const { data } = (await named.json()) as { data: { id: string }[] };
  expect(await (await client.call('GET', '/v1/vector-names/mine')).json()).toMatchObject({ id: data[0]!.id });
  expect((await problemOf(await post({ format: 'json', values: [1, 2, 3, 4] }, { name: 'mine' }))).code).toBe(
    'conflict',
  );
});

it('refuses what fits no model, and says what would', async () => {
  const good = { format: 'json', values: [...values] };
  const cases: [unknown, Record<string, unknown>, string, RegExp][] = [
    [good, { model: 'nobody' }, 'model_unknown', /POST \/v1\/jobs/],
    [good, { hook: 'resid_post.9' }, 'hook_unknown', /no hook point/],
    [{ format: 'json', values: [1, 2] }, {}, 'width_mismatch', /has 4/],
    [{ format: 'json', values: [0, 0, 0, 0] }, {}, 'data_invalid', /all values are 0/],
    [{ format: 'raw', base64: base64(bytes.subarray(0, 7)) }, {}, 'data_invalid', /whole number/],
    [{ format: 'raw' }, {}, 'validation_failed', /base64 or as an artefact/],
    [{ format: 'npy', base64: base64(npy().subarray(0, 40)) }, {}, 'data_invalid', /ends within/],
    [{ format: 'safetensors', base64: base64(bytes) }, {}, 'data_invalid', /./],
    [{ format: 'gguf', base64: base64(gguf('llama')) }, { hook: undefined }, 'data_invalid', /controlvector/],
    [{ format: 'gguf', base64: base64(gguf().subarray(0, 80)) }, { hook: undefined }, 'data_invalid', /ends before/],
  ];
  for (const [source, more, code, detail] of cases) {
    const problem = await problemOf(await post(source, more));
    expect(problem.code).toBe(code);
    expect(problem.detail).toMatch(detail);
  }
});
