/** Tells every endpoint of a tenant whose filter fits of an event. Saying it again under the same id changes nothing. */
import { matches } from '../../shared/contracts/webhook-event.ts';
import type { Env } from '../environment.ts';
import { listeningEndpoints } from './endpoints.ts';
import { deliveryQueueOf } from './queue-of.ts';

type WebhookEvent = { tenant: string; id: string; type: string; body: string; trace: string | null };

export async function announce(env: Env, { tenant, id, type, body, trace }: WebhookEvent): Promise<void> {
  const endpoints = await listeningEndpoints(env, tenant);
  await Promise.all(
    endpoints
      .filter(({ events }) => events.some((filter) => matches(filter, type)))
      .map((endpoint) =>
        deliveryQueueOf(env, endpoint.id).enqueue({ endpoint: endpoint.id }, { id, type, body, subject: null, trace }),
      ),
  );
}
