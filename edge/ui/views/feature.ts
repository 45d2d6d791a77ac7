/** One feature of an autoencoder: both signs of its code, what it does to the output, and a box to steer with it. */
import type { Sae } from '../../client/index.ts';
import { type Child, fill, h, s } from '../elements.ts';
import { button, empty, facts, section } from '../parts.ts';
import { trouble } from '../trouble.ts';
import type { Place } from '../view.ts';
import { figure, share } from '../words.ts';

type Latent = Awaited<ReturnType<Place['client']['saes']['latent']>>;
type Context = Latent['contexts']['positive'][number];
/** Shades of a token, from none to the strongest. */
const SHADES = 8;

export async function feature(place: Place, sae: Sae, number: number, open: (latent: number) => void): Promise<Node> {
  const latent = await place.client.saes.latent(sae.id, number, { signal: place.signal });
  const { density, maximum, minimum } = latent;
  const strongest = Math.max(maximum, -minimum) || 1;
  return h(
    'article',
    { 'aria-label': `Feature ${number}` },
    h('h2', { tabindex: -1 }, `Feature ${number}`),
    facts([
      ['Fires', `+${share(density.positive)}, −${share(density.negative)}`],
      ['Codes', `${figure(minimum)} to ${figure(maximum)}`],
      ['Mean size', figure(latent.mean_magnitude)],
    ]),
    density.positive + density.negative === 0 &&
      empty('It never fired on the held-out text.', h('p', {}, 'Choose another one, or order the list by density.')),
    h(
      'div',
      { class: 'poles' },
      pole('Positive codes', latent.contexts.positive, strongest),
      pole('Negative codes', latent.contexts.negative, strongest),
    ),
    section(
      'What a positive code does to the next token',
      h('div', { class: 'poles' }, effects('Raises', latent.promotes), effects('Lowers', latent.suppresses)),
    ),
    section('Codes other than 0', histogram(latent.histogram)),
    section(
      'Nearest features',
      h(
        'p',
        { class: 'ids' },
        ...latent.nearest.map(({ latent: other, cosine }) => button(`${other} (${figure(cosine)})`, () => open(other))),
      ),
    ),
    steering(place, sae, latent),
  );
}

const pole = (title: string, contexts: readonly Context[], strongest: number): Node =>
  h(
    'section',
    { 'aria-label': title },
    h('h3', {}, title),
    contexts.length === 0
      ? h('p', { class: 'quiet' }, 'None were seen.')
      : h('ol', { class: 'contexts' }, ...contexts.map((context) => h('li', {}, ...shaded(context, strongest)))),
  );

/** Tokens with a shade of their code; its number is in the title. */
function shaded({ at, tokens }: Context, strongest: number): Child[] {
  return tokens.map(({ text, code }, i) => {
    const shade = code === 0 ? 0 : Math.max(1, Math.round((SHADES * Math.abs(code)) / strongest));
    const kind = shade === 0 ? '' : `${code > 0 ? 'plus' : 'minus'}${Math.min(SHADES, shade)}`;
    return h('bdi', { class: `token ${kind}${i === at ? ' chosen' : ''}`, title: figure(code) }, visibleText(text));
  });
}

/** Line ends and tabs as signs, and blanks where a token is nothing else, so that every token is seen. */
const visibleText = (text: string): string =>
  text
    .replaceAll('\n', '⏎')
    .replaceAll('\t', '⇥')
    .replace(/^ +$/, (blanks) => '␣'.repeat(blanks.length)) || '∅';

const effects = (title: string, tokens: readonly { text: string; logit: number }[]): Node =>
  h(
    'div',
    {},
    h('h3', {}, title),
    h(
      'ol',
      { class: 'effects' },
      ...tokens.map(({ text, logit }) =>
        h('li', {}, h('bdi', { class: 'token' }, visibleText(text)), h('span', { class: 'number' }, figure(logit))),
      ),
    ),
  );

function histogram({ low, high, counts }: Latent['histogram']): Node {
  const most = Math.max(1, ...counts);
  const [width, height] = [420, 90];
  const bar = width / Math.max(1, counts.length);
  const center = (i: number) => low + ((i + 0.5) / counts.length) * (high - low);
  return h(
    'figure',
    {},
    s(
      'svg',
      {
        viewBox: `0 0 ${width} ${height + 18}`,
        role: 'img',
        class: 'chart',
        'aria-label': `Histogram of codes from ${figure(low)} to ${figure(high)}; the fullest bin holds ${figure(most)}`,
      },
      ...counts.map((count, i) =>
        s('rect', {
          x: i * bar + 0.5,
          y: height - (height * count) / most,
          width: Math.max(0.5, bar - 1),
          height: (height * count) / most,
          class: center(i) < 0 ? 'minus' : 'plus',
        }),
      ),
      s('text', { x: 0, y: height + 14, class: 'tick' }, figure(low)),
      s('text', { x: width, y: height + 14, class: 'tick', 'text-anchor': 'end' }, figure(high)),
    ),
  );
}

/** Generates with the feature's code held at a value, beside the plain text. */
function steering({ client, signal }: Place, sae: Sae, latent: Latent): Node {
  const { model } = sae;
  if (model === null) {
    return section(
      'Steer with it',
      h('p', { class: 'quiet' }, 'Nobody knows which model it was trained on: name one in a job of type lm.generate.'),
    );
  }
  const reach = Math.max(latent.maximum, -latent.minimum, 1e-3);
  const prompt = h('textarea', { id: 'prompt', rows: 2, required: true, maxlength: 4000 });
  const value = h('input', {
    id: 'value',
    type: 'range',
    min: -2 * reach,
    max: 2 * reach,
    step: reach / 50,
    value: latent.maximum >= -latent.minimum ? latent.maximum : latent.minimum,
  });
  const told = h('output', { for: 'value' });
  const tell = (): void => {
    told.textContent = figure(Number(value.value));
  };
  value.addEventListener('input', tell);
  tell();
  const answer = h('div', { 'aria-live': 'polite' });
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    fill(answer, h('p', { class: 'quiet' }, 'Generating…'));
    try {
      const latents = [{ sae: sae.id, latent: latent.latent, value: Number(value.value) }];
      const job = await client.generations.create(
        {
          model: { id: model },
          prompts: [prompt.value],
          max_tokens: 32,
          runs: [
            { label: 'plain', vectors: [] },
            { label: 'steered', vectors: [], latents },
          ],
        },
        { waitS: 30, signal },
      );
      fill(answer, texts(job));
    } catch (error) {
      if (!signal.aborted) {
        fill(
          answer,
          trouble(error, () => void submit(new Event('submit'))),
        );
      }
    }
  };
  return section(
    'Steer with it',
    h(
      'form',
      { submit: (event) => void submit(event) },
      h('label', { for: 'prompt' }, 'Prompt'),
      prompt,
      h('label', { for: 'value' }, 'Hold its code at ', told),
      value,
      h('button', { type: 'submit' }, 'Generate'),
    ),
    answer,
  );
}

function texts(job: { id: string; status: string; result: Record<string, unknown> | null }): Node {
  const runs = (job.result?.runs ?? []) as { label: string; texts: { text: string }[] }[];
  if (runs.length === 0) {
    return h('p', {}, `The job is ${job.status}. `, h('a', { href: `#/jobs/${job.id}` }, 'Follow it'));
  }
  return h(
    'div',
    { class: 'poles' },
    ...runs.map(({ label, texts }) =>
      h('div', {}, h('h3', {}, label), ...texts.map(({ text }) => h('p', { class: 'generated' }, h('bdi', {}, text)))),
    ),
  );
}
