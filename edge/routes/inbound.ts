/** `POST /v1/inbound/{provider}/{id}`: where outside events come in. Verified, stored, answered; all else happens later. */
import { createRoute, z } from '@hono/zod-openapi';
import { JSON_LIMIT } from '../../shared/contracts/body-limit.ts';
import { type InboundDelivery, providerSchema } from '../../shared/contracts/inbound.ts';
import { inboundAnswerSchema } from '../../shared/contracts/inbound-hook.ts';
import { randomIdSchema } from '../../shared/contracts/manifest.ts';
import { SextantError } from '../../shared/contracts/problem.ts';
import type { App } from '../environment.ts';
import { addressOf } from '../http/access.ts';
import { readBounded } from '../http/body.ts';
import { json, problems } from '../http/declaration.ts';
import { traceOf } from '../http/envelope.ts';
import { openHook } from '../inbound/hooks.ts';
import { type Arrival, inboxOf } from '../inbound/inbox.ts';
import { INBOUND_PROVIDERS } from '../inbound/providers/by-name.ts';
import { judge } from '../inbound/reading.ts';
import { takeAnonymous } from '../quota/lease.ts';
import { span } from '../span.ts';

const acceptedBody = inboundAnswerSchema.openapi('InboundAnswer');

const receive = createRoute({
  security: [],
  method: 'post',
  path: '/v1/inbound/{provider}/{id}',
  tags: ['inbound'],
  summary: "Deliver an event to a hook, signed in its provider's way",
  request: {
    params: z.object({ provider: providerSchema, id: randomIdSchema('inh') }),
    body: { required: true, content: { 'application/json': { schema: z.unknown() } } },
  },
  responses: {
    202: json(acceptedBody, 'Stored; what is verified but starts nothing is answered so too, with the reason'),
    ...problems(
      'body_malformed',
      'signature_invalid',
      'clock_skew',
      'not_found',
      'body_too_large',
      'validation_failed',
      'quota_exceeded',
    ),
  },
});

export default function registerInbound(app: App): void {
  app.openAPIRegistry.registerPath(receive);
  // not by `openapi`: the body is verified as bytes before anything parses it
  app.post('/v1/inbound/:provider/:id', async (c) => {
    const { env } = c;
    const provider = providerSchema.safeParse(c.req.param('provider'));
    const now = Date.now();
    const id = c.req.param('id');
    const open = provider.success && randomIdSchema('inh').safeParse(id).success ? await openHook(env, id, now) : null;
    if (!open || open.hook.provider !== provider.data) {
      throw new SextantError('not_found', 'there is no such hook');
    }
    const { hook, secrets } = open;
    const { headers } = c.req.raw;
    const kind = INBOUND_PROVIDERS[hook.provider];
    const told = { sender_id: kind.senderId(headers), event: null, code: null, detail: null, trace: traceOf(c) };
    const store = (arrival: Arrival): Promise<string> => inboxOf(env, id).arrive(id, arrival);
    let bytes = 0;
    try {
      const body = await readBounded(c.req.raw, JSON_LIMIT);
      bytes = body.byteLength;
      const presented = { url: new URL(c.req.url), headers, body };
      const live = secrets.filter(({ expires_at }) => expires_at === null || expires_at > now);
      await span('verify', told.trace, () =>
        kind.verify(
          presented,
          live.map(({ text }) => text),
          now,
        ),
      );
      if (hook.disabled) {
        throw new SextantError('hook_disabled', 'the hook is disabled');
      }
      const reading = judge(hook, kind.read(presented, hook));
      const outcome: InboundDelivery['outcome'] = 'ignored' in reading ? 'ignored' : 'accepted';
      const error = 'ignored' in reading ? reading.ignored : null;
      const event = 'event' in reading ? reading.event : null;
      const delivery = await store({ ...told, ...error, outcome, event, body, bytes });
      c.set('noted', { tenant: hook.tenant, delivery, outcome, ...(error ? { code: error.code } : {}) });
      return c.json({ delivery, outcome: outcome as 'accepted' | 'ignored', error }, 202, {
        'cache-control': 'no-store',
      });
    } catch (error) {
      if (!(error instanceof SextantError)) {
        throw error;
      }
      // anybody can send what is refused: beyond the limit of an address it is not even written down
      takeAnonymous(addressOf(headers), now, 'refused');
      const { code, message: detail } = error;
      const delivery = await store({ ...told, outcome: 'refused', code, detail, body: null, bytes });
      c.set('noted', { tenant: hook.tenant, delivery, outcome: 'refused' });
      throw error;
    }
  });
}
