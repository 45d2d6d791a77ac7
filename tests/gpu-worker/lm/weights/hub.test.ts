import { existsSync, lstatSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadModel } from '../../../../gpu-worker/lm/inference/model.ts';
import { fetchModel } from '../../../../gpu-worker/lm/weights/hub.ts';
import { ggufModel } from '../../../support/gguf-model.ts';
import { COMMIT, type HubServer, hubServer } from '../../../support/hub-server.ts';
import { TINY, tinyModel } from '../../../support/tiny-model.ts';
import { until } from '../../../support/until.ts';

let hub: HubServer;
let cache: string;
const { folder, remove } = tinyModel(TINY.llama!);
const files = Object.fromEntries(
  readdirSync(folder).map((name) => [name, new Uint8Array(readFileSync(join(folder, name)))]),
);
remove();

beforeEach(async () => {
  hub = await hubServer({ ...files, 'README.md': new Uint8Array(9), 'pytorch_model.bin': new Uint8Array(9) });
  cache = mkdtempSync(join(tmpdir(), 'sextant-hub-'));
});
afterEach(async () => {
  await hub.close();
  rmSync(cache, { recursive: true });
});
const fetched = (more: object = {}) =>
  fetchModel({ endpoint: hub.endpoint, cache, repo: 'owner/model', revision: 'main', ...more });

describe('a model from a hub', () => {
  it('is cached by commit as real files, and loads', async () => {
    const { folder: path, commit } = await fetched();
    expect(commit).toBe(COMMIT);
    expect(path.endsWith(COMMIT)).toBe(true);
    expect(readdirSync(path).sort()).toEqual(['.complete', 'config.json', 'model.safetensors']);
    for (const name of readdirSync(path)) {
      expect(lstatSync(join(path, name)).isFile()).toBe(true);
    }
    const model = await loadModel(path, { threads: 1 });
    expect((await model.forward({ ids: [[1, 2]] })).logits!.shape).toEqual([1, 2, 61]);
    await model.release();
  });

  it('leaves nothing in the cache but what the hub serves, nor any sign of who asked', async () => {
    const { folder: path } = await fetched({ token: 'hf_operators_own' });
    const every = readdirSync(cache, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    expect(every.map(({ name }) => name).sort()).toEqual(['.complete', 'config.json', 'model.safetensors']);
    for (const { name, parentPath } of every) {
      expect(parentPath).toBe(path);
      expect(new Uint8Array(readFileSync(join(path, name)))).toEqual(files[name] ?? new Uint8Array());
    }
    // whoever names the commit next, of whatever tenant, is given the same folder
    expect((await fetched({ revision: COMMIT })).folder).toBe(path);
  });

  it('is not asked for again: a branch costs one request, a commit none', async () => {
    await fetched();
    hub.requests.length = 0;
    await fetched();
    expect(hub.requests.length).toBe(1);
    await fetched({ revision: COMMIT });
    expect(hub.requests.length).toBe(1);
  });

  it('is resumed where the connection broke', async () => {
    const size = files['model.safetensors']!.length;
    let broken = 0;
    hub.intercept = (name, request, response) => {
      if (name !== 'model.safetensors' || request.headers.range || broken++ > 0) {
        return false;
      }
      response.writeHead(200, { 'content-length': size });
      response.write(files[name]!.subarray(0, 1000));
      // a connection that breaks may take bytes with it that were sent but not yet read: break it once they lie on disk
      const part = join(cache, readdirSync(cache)[0]!, 'owner--model', COMMIT, `${name}.part`);
      void until(() => existsSync(part) && statSync(part).size === 1000, 'the first bytes').then(() =>
        response.destroy(),
      );
      return true;
    };
    const { folder: path } = await fetched();
    expect(hub.requests.filter(({ path: p }) => p.endsWith('safetensors')).at(-1)!.range).toBe('bytes=1000-');
    expect(new Uint8Array(readFileSync(join(path, 'model.safetensors')))).toEqual(files['model.safetensors']);
  });

  it('goes on for as long as something arrives, at the time that the hub names', async () => {
    const whole = files['model.safetensors']!;
    let asked = 0;
    hub.intercept = (name, request, response) => {
      if (name !== 'model.safetensors') {
        return false;
      }
      asked += 1;
      const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
      if (asked % 3 === 0) {
        response.writeHead(429, { 'retry-after': '0' }).end();
        return true;
      }
      // a few bytes at a time, each line breaking: far more than a fixed number of tries would bear
      response.writeHead(from > 0 ? 206 : 200, {
        ...(from > 0 ? { 'content-range': `bytes ${from}-${whole.length - 1}/${whole.length}` } : {}),
        'content-length': whole.length - from,
      });
      const share = whole.subarray(from, from + Math.ceil(whole.length / 9));
      response.write(share, () => setTimeout(() => response.destroy(), 30));
      return true;
    };
    const { folder: path } = await fetched();
    expect(new Uint8Array(readFileSync(join(path, 'model.safetensors')))).toEqual(whole);
    expect(asked).toBeGreaterThan(9);
  });

  it('is given up when nothing arrives for the time of silence, and its list is asked for again', async () => {
    hub.intercept = (name) => name === 'model.safetensors';
    await expect(fetched({ silence_ms: 300 })).rejects.toMatchObject({ code: 'unavailable' });
    hub.intercept = () => false;
    hub.listings = [500, 503];
    hub.requests.length = 0;
    expect((await fetched()).commit).toBe(COMMIT);
    expect(hub.requests.filter(({ path }) => path.startsWith('/api/'))).toHaveLength(3);
  });

  it.each([
    ['the whole', 0],
    ['the rest', 1000],
  ])('of a 200 that names a range takes %s for what its length says', async (_, start) => {
    const whole = files['model.safetensors']!;
    let asked = 0;
    hub.intercept = (name, request, response) => {
      if (name !== 'model.safetensors') {
        return false;
      }
      asked += 1;
      if (asked === 1) {
        response.writeHead(200, { 'content-length': whole.length }).write(whole.subarray(0, 1000));
        const part = join(cache, readdirSync(cache)[0]!, 'owner--model', COMMIT, `${name}.part`);
        void until(() => existsSync(part) && statSync(part).size === 1000, 'the first bytes').then(() =>
          response.destroy(),
        );
        return true;
      }
      expect(request.headers.range).toBe('bytes=1000-');
      response.writeHead(200, {
        'content-length': whole.length - start,
        'content-range': `bytes 1000-${whole.length - 1}/${whole.length}`,
      });
      response.end(whole.subarray(start));
      return true;
    };
    const { folder: path } = await fetched();
    expect(new Uint8Array(readFileSync(join(path, 'model.safetensors')))).toEqual(whole);
    expect(asked).toBe(2);
  });

  it('whose bytes turn out wrong once is asked for once more', async () => {
    let wrong = 1;
    hub.intercept = (name, _request, response) => {
      if (name !== 'model.safetensors' || wrong-- <= 0) {
        return false;
      }
      response.end(files[name]!.slice().fill(1, 0, 4));
      return true;
    };
    const { folder: path } = await fetched();
    expect(new Uint8Array(readFileSync(join(path, 'model.safetensors')))).toEqual(files['model.safetensors']);
  });

  it('is refused where the bytes do not have the stated digest, and leaves nothing behind', async () => {
    hub.intercept = (name, _request, response) => {
      if (name !== 'model.safetensors') {
        return false;
      }
      const changed = files[name]!.slice();
      changed[changed.length - 1]! ^= 1;
      response.end(changed);
      return true;
    };
    await expect(fetched()).rejects.toMatchObject({ code: 'weights_invalid' });
    const path = join(cache, readdirSync(cache)[0]!, 'owner--model', COMMIT);
    expect(existsSync(join(path, '.complete'))).toBe(false);
    expect(readdirSync(path).some((name) => name.includes('safetensors'))).toBe(false);
    hub.intercept = () => false;
    expect((await fetched()).commit).toBe(COMMIT);
  });

  it('that sends more than it states is cut off', async () => {
    hub.intercept = (name, _request, response) => {
      if (name !== 'config.json') {
        return false;
      }
      response.end(new Uint8Array(files[name]!.length + 1));
      return true;
    };
    await expect(fetched()).rejects.toMatchObject({ code: 'weights_invalid' });
  });
});

describe('a token', () => {
  it('goes to the hub, and not to another origin that it redirects to', async () => {
    const store = await hubServer(files);
    hub.intercept = (name, _request, response) => {
      if (name !== 'model.safetensors') {
        return false;
      }
      response.writeHead(302, { location: `${store.endpoint}/owner/model/resolve/${COMMIT}/${name}` }).end();
      return true;
    };
    await fetched({ token: 'hf_secret' });
    await store.close();
    expect(hub.requests.every(({ authorization }) => authorization === 'Bearer hf_secret')).toBe(true);
    expect(store.requests.length).toBe(1);
    expect(store.requests[0]!.authorization).toBeUndefined();
  });

  it('does not come back when the other origin redirects to the hub', async () => {
    const store = await hubServer(files);
    let first = true;
    store.intercept = (name, _request, response) => {
      response.writeHead(302, { location: `${hub.endpoint}/owner/model/resolve/${COMMIT}/${name}` }).end();
      return true;
    };
    hub.intercept = (name, _request, response) => {
      if (name !== 'model.safetensors' || !first) {
        return false;
      }
      first = false;
      response.writeHead(302, { location: `${store.endpoint}/owner/model/resolve/${COMMIT}/${name}` }).end();
      return true;
    };
    await fetched({ token: 'hf_secret' });
    await store.close();
    expect(hub.requests.at(-1)!.authorization).toBeUndefined();
  });
});

describe('what a hub does not have', () => {
  it('is refused: a repository, a revision, a name that is none', async () => {
    await expect(fetched({ repo: 'owner/other' })).rejects.toMatchObject({ code: 'model_unknown' });
    await expect(fetched({ revision: 'dev' })).rejects.toMatchObject({ code: 'model_unknown' });
    await expect(fetched({ repo: '../secrets' })).rejects.toMatchObject({ code: 'model_unknown' });
  });

  it('may be one GGUF file, which is named where there are several', async () => {
    const gguf = ggufModel();
    const bytes = new Uint8Array(readFileSync(gguf.path));
    gguf.remove();
    const one = await hubServer({ 'README.md': new Uint8Array(9), 'small-q8_0.gguf': bytes });
    const two = await hubServer({ 'a.gguf': bytes, 'b.gguf': bytes.subarray(0, 100) });
    try {
      const { folder: path } = await fetched({ endpoint: one.endpoint });
      expect(readdirSync(path).sort()).toEqual(['.complete', 'small-q8_0.gguf']);
      const model = await loadModel(path, { threads: 1 });
      expect(model.folder.storage).toMatchObject({ layout: 'gguf Q8_0' });
      await model.release();
      await expect(fetched({ endpoint: two.endpoint })).rejects.toMatchObject({
        code: 'model_unsupported',
        message: 'owner/model needs `file`; its GGUF files: a.gguf, b.gguf',
      });
      const { folder: named } = await fetched({ endpoint: two.endpoint, file: 'a.gguf' });
      expect(readdirSync(named).sort()).toEqual(['.complete', 'a.gguf']);
      await expect(fetched({ endpoint: two.endpoint, file: 'c.gguf' })).rejects.toMatchObject({
        code: 'model_unknown',
      });
    } finally {
      await one.close();
      await two.close();
    }
  });

  it('comes with the settings of its quantisation', async () => {
    const settings = new TextEncoder().encode('{"bits":4}');
    const quantised = await hubServer({ ...files, 'quantize_config.json': settings });
    try {
      const { folder: path } = await fetched({ endpoint: quantised.endpoint });
      expect(readdirSync(path)).toContain('quantize_config.json');
    } finally {
      await quantised.close();
    }
  });

  it('is said so: no safetensors', async () => {
    const bare = await hubServer({ 'config.json': files['config.json']!, 'pytorch_model.bin': new Uint8Array(3) });
    await expect(fetched({ endpoint: bare.endpoint })).rejects.toMatchObject({ code: 'model_unsupported' });
    await bare.close();
  });

  it('is unavailable where nobody listens', async () => {
    const endpoint = hub.endpoint;
    await hub.close();
    await expect(fetched({ endpoint, silence_ms: 300 })).rejects.toMatchObject({ code: 'unavailable' });
    hub = await hubServer(files);
  });
});
