/** The local edge runs what a deployment's cron runs. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { startEdge } from '../../../infra/dev/edge-process.ts';
import { freePort } from '../../support/free-port.ts';
import { until } from '../../support/until.ts';

it('sweeps when it is started', async () => {
  const data = mkdtempSync(join(tmpdir(), 'sextant-sweep-'));
  const port = await freePort();
  const old = Date.now() - 3 * 86_400_000;
  let edge = await startEdge({ port, data, vars: {} });
  try {
    const values = ['t', 'job_left', 1, 1, old];
    await edge.execute(
      'INSERT INTO staging (tenant, job, attempt, uploads, touched_at) VALUES (?, ?, ?, ?, ?)',
      values,
    );
    await edge.stop();
    edge = await startEdge({ port, data, vars: {} });
    await until(async () => (await edge.execute('SELECT job FROM staging')).length === 0, 'the sweep');
    expect(await edge.execute('SELECT job FROM staging')).toEqual([]);
  } finally {
    await edge.stop();
    rmSync(data, { recursive: true });
  }
}, 60_000);
