/** Autoencoders, and the features of one: a list that scrolls over all of them, beside the one that is open. */
import type { LatentSummary, Sae } from '../../client/index.ts';
import { type Child, fill, h } from '../elements.ts';
import { button, commandLine, empty, facts, heading, idLink, link, placeOf, table } from '../parts.ts';
import { trouble } from '../trouble.ts';
import type { Place } from '../view.ts';
import { VirtualList } from '../virtual-list.ts';
import { figure, share, when } from '../words.ts';
import { feature } from './feature.ts';

/** The most that a page of a list holds. */
const PAGE = 100;
const SORTS = {
  latent: 'number',
  density: 'density',
  minority_share: 'share of the rarer sign',
  magnitude: 'largest code',
} as const;
type Sort = keyof typeof SORTS;

export async function features(place: Place, id?: string, latent?: string): Promise<Node> {
  return id === undefined ? list(place) : browser(place, id, latent);
}

async function list({ client, signal }: Place): Promise<Node> {
  const { data } = await client.saes.list({ limit: PAGE, signal });
  return h(
    'div',
    {},
    heading('Features'),
    data.length === 0
      ? empty(
          'No autoencoder has been trained or imported yet.',
          h('p', {}, 'Train one on a model of yours:'),
          commandLine(
            'sextant run sae.train --param model.id=mdl_… --param hook=resid_post.1 \\\n  --param \'corpus={"planted":{}}\' --param \'saes=[{"variant":"abstopk","width":64,"k":8}]\'',
          ),
          h('p', {}, h('a', { href: '/docs/features' }, 'The guide'), ' says what else it takes.'),
        )
      : table(
          'Autoencoders, newest first',
          ['Autoencoder', 'Variant', '#Features', 'Hook', 'Model', 'Created'],
          data.map((sae) => [
            idLink(sae.id, 'features'),
            sae.method,
            figure(widthOf(sae)),
            h('code', {}, sae.hook ?? '–'),
            h('code', { title: sae.model ?? '' }, (sae.model ?? '–').slice(0, 14)),
            when(sae.created_at),
          ]),
        ),
  );
}

const widthOf = ({ body }: Sae): number => Number(body.width ?? 0);

async function browser(place: Place, id: string, opened: string | undefined): Promise<Node> {
  const { client, signal } = place;
  const sae = await client.saes.get(id, { signal });
  const detail = h('div', { class: 'detail' });
  const beside = h('div', { class: 'beside' });
  const sort = h(
    'select',
    { id: 'sort' },
    ...Object.entries(SORTS).map(([value, name]) => h('option', { value }, name)),
  );
  const number = h('input', { id: 'feature', type: 'number', min: 0, max: widthOf(sae) - 1, required: true });
  let shown = new AbortController();

  const open = (latent: number): void => {
    shown.abort();
    shown = new AbortController();
    const stop = AbortSignal.any([signal, shown.signal]);
    history.replaceState(null, '', placeOf('features', id, String(latent)));
    feature({ ...place, signal: stop }, sae, latent, open).then(
      (node) => {
        if (!stop.aborted) {
          fill(detail, node);
          detail.querySelector('h2')?.focus({ preventScroll: window.innerWidth > 800 });
        }
      },
      (error: unknown) =>
        stop.aborted ||
        fill(
          detail,
          trouble(error, () => open(latent)),
        ),
    );
  };
  const order = (): void => fill(beside, ordered(place, sae, sort.value as Sort, open));
  sort.addEventListener('change', order);
  order();
  if (opened !== undefined && /^\d+$/.test(opened)) {
    open(Number(opened));
  } else {
    fill(detail, h('p', { class: 'quiet' }, 'Choose a feature: arrows move, Enter opens.'));
  }
  const jump = (event: Event): void => {
    event.preventDefault();
    open(Number(number.value));
  };
  return h(
    'div',
    {},
    heading(`Features of ${sae.method}`, link('All autoencoders', 'features')),
    facts([
      ['Autoencoder', h('code', {}, sae.id)],
      ['Hook', h('code', {}, sae.hook ?? '–')],
      ['Features', figure(widthOf(sae))],
      ...(sae.job ? [['Made by', idLink(sae.job, 'jobs')] as const] : []),
    ]),
    h(
      'div',
      { class: 'split' },
      h(
        'div',
        { class: 'master' },
        h(
          'form',
          { class: 'row', submit: jump },
          h('label', { for: 'sort' }, 'Order ', sort),
          h('label', { for: 'feature' }, 'Go to ', number),
          button('Open', () => undefined, { type: 'submit' }),
        ),
        beside,
      ),
      detail,
    ),
  );
}

/** Pages are read in turn, as far down as somebody has scrolled. */
function ordered({ client, signal }: Place, sae: Sae, sort: Sort, open: (latent: number) => void): Node {
  const rows: LatentSummary[] = [];
  const pages = client.saes.latents(sae.id, { limit: PAGE, sort, signal }).pages();
  const problem = h('div');
  let [wanted, reading] = [0, false];
  const read = async (): Promise<void> => {
    reading = true;
    try {
      while (rows.length < wanted) {
        const { done, value } = await pages.next();
        if (done) {
          break;
        }
        rows.push(...value.data);
        list.draw();
      }
    } catch (error) {
      if (!signal.aborted) {
        fill(
          problem,
          trouble(error, () => open(0)),
        );
      }
    } finally {
      reading = false;
    }
  };
  const list = new VirtualList({
    label: `Features by ${SORTS[sort]}`,
    count: widthOf(sae),
    row: (index) => (rows[index] ? rowOf(rows[index]) : null),
    seen: (_, to) => {
      wanted = Math.max(wanted, Math.min(widthOf(sae), to));
      if (!reading && rows.length < wanted) {
        void read();
      }
    },
    open: (index) => rows[index] && open(rows[index].latent),
  });
  return h('div', {}, problem, list.element);
}

const rowOf = ({ latent, positive, negative, maximum, minimum }: LatentSummary): Child[] => [
  h('span', { class: 'number' }, latent),
  h('span', { class: 'plus' }, positive > 0 ? `+${share(positive)}` : ''),
  h('span', { class: 'minus' }, negative > 0 ? `−${share(negative)}` : ''),
  h('span', { class: 'quiet' }, positive + negative === 0 ? 'dead' : `${figure(minimum)} to ${figure(maximum)}`),
];
