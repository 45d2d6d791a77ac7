import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import { newClient, problemOf, send } from './support/client.ts';

type KeyBody = { id: string; key: string; prefix: string; scopes: string[]; expires_at: string | null };

describe('API keys', () => {
  it('are shown once and stored as a digest', async () => {
    const admin = await newClient();
    const answer = await admin.call('POST', '/v1/keys', { body: { name: 'ci', scopes: ['vectors:read'] } });
    expect(answer.status).toBe(201);
    expect(answer.headers.get('cache-control')).toBe('no-store');
    const made = (await answer.json()) as KeyBody;
    expect(made.key.startsWith(made.prefix)).toBe(true);
    expect(made.prefix).toContain(made.id.slice(4));
    const row = await env.DB.prepare('SELECT * FROM keys WHERE id = ?').bind(made.id).first();
    expect(JSON.stringify(row)).not.toContain(made.key.slice(made.prefix.length));
    const shown = await (await admin.call('GET', `/v1/keys/${made.id}`)).json();
    expect(shown).not.toHaveProperty('key');
  });
});

describe('without a valid key', () => {
  it('nothing answers', async () => {
    const wrong = `sextant_${'a'.repeat(26)}_${'b'.repeat(52)}`;
    for (const headers of [{}, { authorization: 'Bearer nonsense' }, { authorization: `Bearer ${wrong}` }]) {
      const answer = await send('GET', '/v1/keys', {}, headers as Record<string, string>);
      expect((await problemOf(answer)).code).toBe('unauthenticated');
      expect(answer.headers.get('www-authenticate')).toContain('Bearer');
    }
  });
});
