/** What came in by hooks and what went out to endpoints, kept current. */
import type { InboundHook, WebhookEndpoint } from '../../client/index.ts';
import { type Child, fill, h } from '../elements.ts';
import { badge, button, empty, heading, idLink, section, table } from '../parts.ts';
import { keepCurrent, type Place } from '../view.ts';
import { when } from '../words.ts';

/** Of each hook and endpoint, the newest so many. */
const NEWEST = 20;

export async function deliveries(place: Place): Promise<Node> {
  const { client, signal } = place;
  const body = h('div');
  const read = async (): Promise<Child[]> => {
    const [endpoints, hooks] = await Promise.all([
      client.webhookEndpoints.list({ limit: NEWEST, signal }),
      client.inboundHooks.list({ limit: NEWEST, signal }),
    ]);
    return Promise.all([
      ...endpoints.data.map((endpoint) => sent(endpoint, place)),
      ...hooks.data.map((hook) => received(hook, place)),
    ]);
  };
  const show = (sections: Child[]): void =>
    fill(
      body,
      ...(sections.length > 0
        ? sections
        : [
            empty(
              'There is neither an endpoint nor an inbound hook.',
              h(
                'p',
                {},
                'An endpoint is told when jobs end: ',
                h('a', { href: '/docs/webhooks' }, 'webhooks'),
                '. A hook starts recipes: ',
                h('a', { href: '/docs/recipes' }, 'recipes'),
                '.',
              ),
            ),
          ]),
    );
  show(await read());
  void keepCurrent(place, read, show);
  return h('div', {}, heading('Deliveries'), body);
}

async function sent(endpoint: WebhookEndpoint, { client, signal, fail }: Place): Promise<Node> {
  const { data } = await client.webhookEndpoints.deliveries(endpoint.id, { limit: NEWEST, signal });
  const again = (id: string) => (): void =>
    void client.webhookEndpoints.redeliver(endpoint.id, id, { signal }).catch(fail);
  return section(
    `Sent: ${endpoint.name.slice(0, 100)}`,
    h(
      'p',
      { class: 'told' },
      endpoint.address,
      endpoint.disabled_at === null ? '' : ` · off since ${when(endpoint.disabled_at)}: ${endpoint.disabled_reason}`,
    ),
    data.length === 0
      ? h('p', { class: 'quiet' }, 'Nothing was sent yet; `sextant endpoints test` sends something.')
      : table(
          `Sent to ${endpoint.name}`,
          ['Event', 'Type', 'State', 'Created', '#Tries', 'Last answer', 'Again'],
          data.map((delivery) => {
            const last = delivery.attempts.at(-1);
            return [
              h('code', { title: delivery.id }, delivery.id.slice(0, 12)),
              delivery.type,
              badge(delivery.state),
              when(delivery.created_at),
              delivery.attempts.length,
              h('bdi', {}, last ? `${last.status ?? ''} ${last.detail}`.slice(0, 200) : '–'),
              delivery.state === 'waiting'
                ? null
                : button('Send again', again(delivery.id), { 'aria-label': `Send ${delivery.id} again` }),
            ];
          }),
        ),
  );
}

async function received(hook: InboundHook, { client, signal }: Place): Promise<Node> {
  const { data } = await client.inboundHooks.deliveries(hook.id, { limit: NEWEST, signal });
  return section(
    `Received: ${hook.name.slice(0, 100)}`,
    data.length === 0
      ? h('p', { class: 'quiet' }, 'Nothing has come in yet.')
      : table(
          `Received by ${hook.name}`,
          ['Delivery', 'Outcome', 'Why', 'At', 'Run'],
          data.map((delivery) => [
            h('code', { title: delivery.id }, delivery.id.slice(0, 12)),
            badge(delivery.outcome),
            h('bdi', {}, [delivery.code, delivery.detail].filter(Boolean).join(': ').slice(0, 300)),
            when(delivery.at),
            delivery.run && idLink(delivery.run, 'runs'),
          ]),
        ),
  );
}
