/** `verify -- ecg` on the reference files, and on copies of them with one value changed. */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compareEcg } from '../../gpu-worker/verify/ecg.ts';
import { golden, hasData, hasGolden } from '../support/guide.ts';

describe.skipIf(!hasGolden || !hasData)('reference files of the denoiser', () => {
  let folder = '';
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'ecg-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it('agree in every item', async () => {
    const report = (await compareEcg(golden('ecg'))).toJSON();
    expect(Object.entries(report.items).filter(([, { ok }]) => !ok)).toEqual([]);
    expect(Object.entries(report.exact).filter(([, ok]) => !ok)).toEqual([]);
    expect(report.ok).toBe(true);
    expect(Object.keys(report.items).length).toBeGreaterThan(500);
  });

  it('disagree where a stored gradient, a checksum or an annotation is another one', async () => {
    cpSync(golden('ecg', 'records'), join(folder, 'records'), { recursive: true });
    const networks = JSON.parse(readFileSync(golden('ecg', 'network.json'), 'utf8')) as Record<string, NetworkJson>;
    const [name, network] = Object.entries(networks)[0]!;
    for (const file of [`${name}.safetensors`, network.weights]) {
      cpSync(golden('ecg', file), join(folder, file));
    }
    const summary = network.gradients['merge2.weight']!;
    summary.probe += 1e-3 * summary.norm;
    writeFileSync(join(folder, 'network.json'), JSON.stringify({ [name]: network }));
    const records = (JSON.parse(readFileSync(golden('ecg', 'records.json'), 'utf8')) as RecordJson[]).filter(
      ({ record }) => record.startsWith('records/'),
    );
    for (const record of records) {
      record.checksum_mod_65536[0]! += 1;
    }
    writeFileSync(join(folder, 'records.json'), JSON.stringify(records));
    const report = (await compareEcg(folder)).toJSON();
    expect(report.ok).toBe(false);
    expect(report.worst).toBe(`${name}/probe`);
    expect(Object.entries(report.items).filter(([, { ok }]) => !ok)).toHaveLength(1);
    expect(Object.entries(report.exact).filter(([, ok]) => !ok)).toEqual(
      records.map(({ record }) => [`${record}/checksum`, false]),
    );
  });
});

type NetworkJson = { weights: string; gradients: Record<string, { norm: number; probe: number }> };
type RecordJson = { record: string; checksum_mod_65536: number[] };
