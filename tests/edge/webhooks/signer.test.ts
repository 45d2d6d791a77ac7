import { Webhook } from 'standardwebhooks';
import { describe, expect, it } from 'vitest';
import vectors from '../../../edge/guides/webhook-test-vectors.json' with { type: 'json' };
import { pauseAfter, RETRY_SCHEDULE_S, retryAfterMs } from '../../../edge/webhooks/schedule.ts';
import { newSecret, signatureHeaders, verifierOf } from '../../../edge/webhooks/signer.ts';

const bytes = (text: string) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));

/** Verifies `v1a` as a receiver would, from the specification alone: no JavaScript library does. */
async function verifiesV1a(publicKey: string, headers: Record<string, string>, body: string): Promise<boolean> {
  const key = await crypto.subtle.importKey('raw', bytes(publicKey.replace('whpk_', '')), 'Ed25519', false, ['verify']);
  const signed = new TextEncoder().encode(`${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`);
  for (const one of (headers['webhook-signature'] ?? '').split(' ')) {
    const [version, signature = ''] = one.split(',');
    if (version === 'v1a' && (await crypto.subtle.verify('Ed25519', key, bytes(signature), signed))) {
      return true;
    }
  }
  return false;
}

describe('a signature', () => {
  const message = { id: 'evt_1', at: Date.now(), body: '{"type":"job.succeeded","note":"ünïcode"}' };

  it('v1 is taken by the reference library, under either secret of a rotation', async () => {
    const secrets = [await newSecret('v1'), await newSecret('v1')];
    const headers = await signatureHeaders(secrets, message);
    for (const secret of secrets) {
      expect(new Webhook(secret).verify(message.body, headers)).toMatchObject({ type: 'job.succeeded' });
    }
    expect(() => new Webhook(secrets[0] ?? '').verify(`${message.body} `, headers)).toThrow();
  });

  it('v1a is taken by a verifier written apart, under either key of a rotation', async () => {
    const secrets = [await newSecret('v1a'), await newSecret('v1a')];
    const headers = await signatureHeaders(secrets, message);
    for (const secret of secrets) {
      expect(await verifiesV1a(verifierOf(secret), headers, message.body)).toBe(true);
    }
    expect(await verifiesV1a(verifierOf(secrets[0] ?? ''), headers, `${message.body} `)).toBe(false);
    expect(await verifiesV1a(verifierOf(await newSecret('v1a')), headers, message.body)).toBe(false);
  });

  it.each(vectors)('is the published one: $scheme', async ({ secret, verifier, id, timestamp, body, signature }) => {
    const headers = await signatureHeaders([secret], { id, at: timestamp * 1000, body });
    expect(headers).toEqual({
      'webhook-id': id,
      'webhook-timestamp': String(timestamp),
      'webhook-signature': signature,
    });
    expect(verifierOf(secret)).toBe(verifier);
  });
});

describe('the schedule', () => {
  it('is that of Standard Webhooks, a fifth more or less', () => {
    expect(RETRY_SCHEDULE_S.map((_, i) => pauseAfter(i + 1, 0.5, null))).toEqual(RETRY_SCHEDULE_S.map((s) => s * 1000));
    expect(pauseAfter(2, 0, null)).toBe(240_000);
    expect(pauseAfter(2, 1 - 1e-12, null)).toBe(360_000);
    expect(pauseAfter(10, 0.5, null)).toBeNull();
  });

  it('follows Retry-After between one and two times the planned pause', () => {
    const wish = (ms: number) => pauseAfter(2, 0.5, ms);
    expect([wish(1000), wish(450_000), wish(9_999_999)]).toEqual([300_000, 450_000, 600_000]);
    expect(retryAfterMs('7', 0)).toBe(7000);
    expect(retryAfterMs('Thu, 01 Jan 1970 00:01:00 GMT', 20_000)).toBe(40_000);
    expect(retryAfterMs('soon', 0)).toBeNull();
  });
});
