import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, it } from 'vitest';
import { signingKeys } from '../../../edge/workers/signing-keys.ts';
import { mint } from '../../../infra/operator/mint.ts';
import { randomId, sha256Hex } from '../../../shared/signing/digest.ts';
import { signMessage } from '../../../shared/signing/message.ts';

const MIGRATIONS = join(import.meta.dirname, '../../../edge/migrations');

/** The edge's own tables, in SQLite. */
function database(): DatabaseSync {
  const tables = new DatabaseSync(':memory:');
  for (const name of readdirSync(MIGRATIONS).sort()) {
    tables.exec(readFileSync(join(MIGRATIONS, name), 'utf8'));
  }
  return tables;
}
const statementOf = (lines: string[]) => lines.find((line) => line.startsWith('statement: '))!.slice(11);

describe('the operator’s statements', () => {
  it('store a key as its digest, with an end, and revoke it', async () => {
    const tables = database();
    const args = ['key', '--tenant', 'acme', '--name', "o'clock", '--scopes', 'vectors:read,jobs:write', '--days', '2'];
    const lines = await mint(args, 1000);
    tables.exec(statementOf(lines));
    const text = /sextant_\S+/.exec(lines[0]!)![0];
    const row = tables.prepare('SELECT * FROM keys').get()!;
    expect(row).toMatchObject({ tenant: 'acme', name: "o'clock", expires_at: 1000 + 2 * 86_400_000, revoked_at: null });
    expect(row.hash).toBe(await sha256Hex(text));
    tables.exec(statementOf(await mint(['revoke', String(row.id)], 5000)));
    expect(tables.prepare('SELECT revoked_at FROM keys').get()).toMatchObject({ revoked_at: 5000 });
    const events = tables.prepare('SELECT tenant, at, action, target, taken FROM operator_events ORDER BY at').all();
    expect(events).toMatchObject([
      { tenant: 'acme', at: 1000, action: 'key.create', target: row.id, taken: 0 },
      { tenant: 'acme', at: 5000, action: 'key.revoke', target: row.id, taken: 0 },
    ]);
  });

  it('are none for the secrets of a deployment, which the edge can use as they are printed', async () => {
    const [keys = ''] = await mint(['secret', 'signing-keys'], 0);
    const [first] = signingKeys({ SIGNING_KEYS: keys });
    expect(first.kid).toMatch(/^edge-/);
    const message = { sub: randomId('job'), jti: randomId('dsp'), type: 't', input_digest: 'a'.repeat(64), params: {} };
    expect(await signMessage(first, message, 0)).toContain('.');
    const [one, other] = [await mint(['secret', 'webhook-key'], 0), await mint(['secret', 'webhook-key'], 0)];
    expect(one[0]?.length).toBeGreaterThan(40);
    expect(one).not.toEqual(other);
    const listed = readFileSync(join(import.meta.dirname, '../../../wrangler.toml'), 'utf8');
    const vars = listed.slice(listed.indexOf('[vars]'), listed.indexOf('[observability]'));
    const secrets = [...listed.slice(0, listed.indexOf('[vars]')).matchAll(/^# {3}([A-Z0-9_]+) /gm)].map(
      ([, name]) => name,
    );
    expect(secrets).toEqual(['SIGNING_KEYS', 'WEBHOOK_KEY', 'S3_ACCESS_KEY_ID', 'S3_SECRET_ACCESS_KEY']);
    expect(secrets.filter((name) => new RegExp(`^${name} =`, 'm').test(vars))).toEqual([]);
  });

  it('register a worker by its public half alone', async () => {
    const tables = database();
    const lines = await mint(['worker', '--pool', 'cpu'], 1000);
    const secret = JSON.parse(lines[0]!.slice(lines[0]!.indexOf('{'))) as { d: string; kid: string; x: string };
    tables.exec(statementOf(lines));
    const row = tables.prepare('SELECT * FROM workers').get()!;
    expect(row).toMatchObject({ id: secret.kid, pool: 'cpu' });
    expect(JSON.parse(String(row.jwk))).toMatchObject({ kty: 'OKP', crv: 'Ed25519', x: secret.x });
    expect(lines.slice(1).join('')).not.toContain(secret.d);
  });

  it('are refused with what is wrong', async () => {
    await expect(mint(['key', '--scopes', 'vectors:read'], 0)).rejects.toThrow('--tenant');
    await expect(mint(['key', '--tenant', 'acme', '--scopes', 'everything'], 0)).rejects.toThrow();
    await expect(
      mint(['key', '--tenant', "a'); DROP TABLE keys; --", '--scopes', 'vectors:read'], 0),
    ).rejects.toThrow();
    await expect(mint(['revoke', 'job_x'], 0)).rejects.toThrow();
    await expect(mint([], 0)).rejects.toThrow('key, worker or revoke');
  });
});
