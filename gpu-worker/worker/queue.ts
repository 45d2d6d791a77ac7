/** A pull consumer of Cloudflare Queues: https://developers.cloudflare.com/queues/configuration/pull-consumers/ */
import { z } from 'zod';
import type { Configuration } from './configuration.ts';
import { UNPACKED } from './edge-calls.ts';

const TIMEOUT_MS = 20_000;

const pulledSchema = z.object({
  success: z.literal(true),
  result: z.object({
    messages: z.array(
      z.object({
        id: z.string(),
        body: z.string(),
        attempts: z.number().int(),
        lease_id: z.string(),
        metadata: z.record(z.string(), z.unknown()).nullish(),
      }),
    ),
  }),
});
export type PulledMessage = z.infer<typeof pulledSchema>['result']['messages'][number];

/** What becomes of a delivery. */
export type Disposition = { action: 'acknowledge' } | { action: 'retry'; delay_s: number };

export class PullQueue {
  readonly #configuration: Configuration['queue'];

  constructor(configuration: Configuration['queue']) {
    this.#configuration = configuration;
  }

  /** At most so many messages: as many jobs as the caller can begin at once. */
  async pull(most: number): Promise<PulledMessage[]> {
    const { visibility_ms } = this.#configuration;
    const answer = await this.#post('pull', { batch_size: most, visibility_timeout_ms: visibility_ms });
    return pulledSchema.parse(answer).result.messages;
  }

  async settle({ lease_id }: PulledMessage, disposition: Disposition): Promise<void> {
    const retry = disposition.action === 'retry' ? [{ lease_id, delay_seconds: disposition.delay_s }] : [];
    await this.#post('ack', { acks: retry.length > 0 ? [] : [{ lease_id }], retries: retry });
  }

  async #post(action: 'pull' | 'ack', body: unknown): Promise<unknown> {
    const { api_base, account, id, token } = this.#configuration;
    const response = await fetch(`${api_base}/accounts/${account}/queues/${id}/messages/${action}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', ...UNPACKED },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    if (!response.ok) {
      throw new Error(`queue ${action}: ${response.status} ${(await response.text()).slice(0, 300)}`);
    }
    return response.json();
  }
}

/** The JSON body of a message: `json` arrives base64-encoded, `text` plain. Raises where it is neither. */
export function bodyOf(message: PulledMessage): unknown {
  const plain = message.metadata?.['CF-Content-Type'] === 'text';
  return JSON.parse(plain ? message.body : Buffer.from(message.body, 'base64').toString('utf8'));
}
