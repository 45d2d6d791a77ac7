import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import { audited, readAudit } from '../../../edge/audit/log.ts';
import { takeOperatorEvents } from '../../../edge/audit/operator-events.ts';
import { NOTE_EVENT } from '../../../edge/keys/mint.ts';
import { auditFault } from '../../../shared/signing/audit-chain.ts';
import { newClient, problemOf } from '../support/client.ts';
import { plantVector } from '../support/vector.ts';

const event = (tenant: string, target: string) => ({
  tenant,
  actor: 'key_a',
  action: 'thing.touch',
  target,
  request_id: 'request-1',
});
const whole = async (tenant: string) =>
  (await readAudit(env, { tenant, before: 1e15, limit: 1000, action: null, actor: null })).reverse();

describe('the audit log', () => {
  it('is one unbroken chain, whoever writes at the same time', async () => {
    const tenant = `audit-${crypto.randomUUID()}`;
    await Promise.all(Array.from({ length: 20 }, (_, i) => audited(env, event(tenant, `t${i}`))));
    const rows = await whole(tenant);
    expect(rows.map((row) => row.seq)).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
    expect(new Set(rows.map((row) => row.target)).size).toBe(20);
    expect(await auditFault(rows)).toBeNull();
    expect(await auditFault(rows.slice(5), rows[4])).toBeNull();
  });

  it('shows a row that was changed, taken out or put elsewhere', async () => {
    const tenant = `audit-${crypto.randomUUID()}`;
    for (const target of ['a', 'b', 'c', 'd']) {
      await audited(env, event(tenant, target));
    }
    const rows = await whole(tenant);
    const [a, b, c, d] = rows as [(typeof rows)[0], (typeof rows)[0], (typeof rows)[0], (typeof rows)[0]];
    expect(await auditFault([a, { ...b, actor: 'key_b' }, c, d])).toContain('row 2 was changed');
    expect(await auditFault([a, c, d])).toContain('after row 1 comes row 3');
    expect(await auditFault([a, { ...c, seq: 2 }, d])).toContain('row 2 does not carry');
    expect(await auditFault([b, c, d])).toContain('after row 0 comes row 2');
  });

  it('cannot be changed or emptied in the database', async () => {
    const tenant = `audit-${crypto.randomUUID()}`;
    await audited(env, event(tenant, 'a'));
    await expect(env.DB.prepare('DELETE FROM audit WHERE tenant = ?').bind(tenant).run()).rejects.toThrow(
      /append-only/,
    );
    await expect(env.DB.prepare("UPDATE audit SET actor = 'x' WHERE tenant = ?").bind(tenant).run()).rejects.toThrow(
      /append-only/,
    );
  });

  it('is written with the change it tells of, or not at all', async () => {
    const tenant = `audit-${crypto.randomUUID()}`;
    const broken = env.DB.prepare("INSERT INTO vector_names VALUES ('t', 'n', NULL, 1, 0, 0)");
    await expect(audited(env, event(tenant, 'a'), [broken])).rejects.toThrow(/NOT NULL/);
    expect(await whole(tenant)).toEqual([]);
  });

  it('is read by its tenant with audit:read, in pages, and by nobody else', async () => {
    const reader = await newClient({ scopes: ['audit:read'] });
    for (const target of ['a', 'b', 'c']) {
      await audited(env, event(reader.tenant, target));
    }
    const first = await (await reader.call('GET', '/v1/audit?limit=2')).json<{
      data: { target: string }[];
      next_cursor: string;
    }>();
    expect(first.data.map((row) => row.target)).toEqual(['c', 'b']);
    const rest = await reader.call('GET', `/v1/audit?limit=2&cursor=${first.next_cursor}`);
    expect(await rest.json()).toMatchObject({ data: [{ target: 'a', seq: 1 }], next_cursor: null });
    const other = await newClient({ scopes: ['audit:read'] });
    expect(await (await other.call('GET', '/v1/audit')).json()).toMatchObject({ data: [] });
    const writer = await newClient({ scopes: ['jobs:write'], tenant: reader.tenant });
    expect((await problemOf(await writer.call('GET', '/v1/audit'))).code).toBe('scope_missing');
  });
});

describe('keys', () => {
  it('are on record from their creation to their end', async () => {
    const admin = await newClient({ scopes: ['keys:admin', 'audit:read'] });
    const made = await admin.call('POST', '/v1/keys', { body: { name: 'secret name', scopes: ['audit:read'] } });
    const { id } = await made.json<{ id: string }>();
    await admin.call('POST', `/v1/keys/${id}/rotate`);
    await admin.call('DELETE', `/v1/keys/${id}`);
    const text = await (await admin.call('GET', '/v1/audit')).text();
    const rows = (JSON.parse(text) as { data: { action: string; target: string; actor: string }[] }).data;
    expect(rows.map((row) => [row.action, row.target, row.actor])).toEqual(
      ['key.revoke', 'key.rotate', 'key.create'].map((action) => [action, id, admin.keyId]),
    );
    expect(text).not.toContain('secret name');
  });
});

describe('what the operator does in the database', () => {
  it('is taken into the log of the tenant, once, whoever looks at the same time', async () => {
    const reader = await newClient({ scopes: ['audit:read'] });
    const note = (id: string, at: number) =>
      env.DB.prepare(NOTE_EVENT).bind(id, reader.tenant, at, 'key.create', `key_${id}`).run();
    await note(`b-${reader.tenant}`, 2000);
    await note(`a-${reader.tenant}`, 1000);
    await Promise.all(Array.from({ length: 4 }, () => takeOperatorEvents(env, reader.tenant)));
    const page = await (await reader.call('GET', '/v1/audit')).json<{ data: { actor: string; target: string }[] }>();
    expect(page.data).toMatchObject([
      { actor: 'operator', action: 'key.create', target: `key_b-${reader.tenant}` },
      { actor: 'operator', action: 'key.create', target: `key_a-${reader.tenant}` },
    ]);
    expect(await auditFault(await whole(reader.tenant))).toBeNull();
  });
});

describe('deletions', () => {
  it('are on record with what they deleted, in one transaction', async () => {
    const client = await newClient();
    const vector = await plantVector(client.tenant);
    const { results } = await env.DB.prepare('SELECT id FROM artefacts WHERE tenant = ?').bind(client.tenant).all();
    const artefact = String(results[0]?.id);
    expect((await client.call('DELETE', `/v1/vectors/${vector.id}`)).status).toBe(204);
    expect((await client.call('DELETE', `/v1/artefacts/${artefact}`)).status).toBe(204);
    expect((await client.call('DELETE', `/v1/artefacts/${artefact}`)).status).toBe(404);
    expect((await whole(client.tenant)).map(({ action, target }) => [action, target])).toEqual([
      ['vector.delete', vector.id],
      ['artefact.delete', artefact],
    ]);
  });
});
