import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { HostHealth } from '../../../gpu-worker/worker/host-health.ts';
import { Metrics, serveMetrics } from '../../../gpu-worker/worker/metrics.ts';

const data = mkdtempSync(join(tmpdir(), 'sextant-health-'));
afterAll(() => rmSync(data, { recursive: true }));

describe('a host', () => {
  it('rests after three attempts in a row that ended by its own faults, and says why where it is asked', async () => {
    const health = new HostHealth(data);
    const { server, port } = await serveMetrics(new Metrics(), health, { host: '127.0.0.1', port: 0 });
    const asked = async () => {
      const answer = await fetch(`http://127.0.0.1:${port}/health`);
      return { status: answer.status, body: await answer.json() };
    };
    health.attempt('runtime_broken');
    health.attempt('runtime_broken');
    health.attempt(null);
    health.attempt('runtime_broken');
    health.attempt('runtime_broken');
    expect(await health.isWell()).toBe(true);
    expect(await asked()).toEqual({ status: 200, body: { status: 'ok', reason: null } });
    health.attempt('runtime_broken');
    expect(await health.isWell()).toBe(false);
    const reason = 'runtime_broken: 3 attempts in a row ended by faults of this host';
    expect(await asked()).toEqual({ status: 503, body: { status: 'unwell', reason } });
    server.close();
    server.closeAllConnections();
  });

  it('whose disk was full goes on once there is room', async () => {
    const health = new HostHealth(data);
    health.attempt('disk_full');
    expect(await health.isWell()).toBe(true);
  });
});
