import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readConfiguration } from '../../../gpu-worker/worker/configuration.ts';
import { randomId } from '../../../shared/signing/digest.ts';
import { newSigningKey } from '../../support/signing-key.ts';

const folder = mkdtempSync(join(tmpdir(), 'sextant-worker-'));
const file = join(folder, 'worker.json');
const kid = randomId('wkr');
const basic = {
  edge_url: 'https://edge.example',
  queue: { api_base: 'https://queue.example', account: 'a', id: 'q', token: 'from-file' },
  key_file: 'key.json',
  data: 'data',
  models: { small: '../models/small' },
};
const read = (value: unknown, environment = {}) => {
  writeFileSync(file, JSON.stringify(value));
  return readConfiguration(file, environment);
};
beforeAll(async () => writeFileSync(join(folder, 'key.json'), JSON.stringify((await newSigningKey(kid)).jwk)));
afterAll(() => rmSync(folder, { recursive: true }));

describe('the configuration', () => {
  it('takes paths from where the file lies, and the worker id from its key', () => {
    const { data, models, key } = read(basic);
    expect({ data, models, kid: key.kid }).toEqual({
      data: join(folder, 'data'),
      models: { small: join(folder, '../models/small') },
      kid,
    });
  });

  it('lets the environment win, so that secrets need no file', () => {
    const { queue, edge_url } = read(
      { ...basic, queue: { ...basic.queue, token: undefined } },
      { SEXTANT_QUEUES_TOKEN: 'from-environment', SEXTANT_EDGE_URL: 'https://other.example' },
    );
    expect({ token: queue.token, edge_url }).toEqual({ token: 'from-environment', edge_url: 'https://other.example' });
  });

  it('names what is missing or unknown', () => {
    expect(() => read({ ...basic, edge_url: undefined })).toThrow(/edge_url/);
    expect(() => read({ ...basic, memory_limit: 1 })).toThrow(/memory_limit/);
    expect(() => read({ ...basic, models: { '../x': '/x' } })).toThrow(/models/);
  });
});
