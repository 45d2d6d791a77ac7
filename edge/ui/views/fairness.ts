/** Predictors, and what one would say of another person: a control for every column, and the score beside the one before. */
import type { Predictor } from '../../client/index.ts';
import { type Child, fill, h } from '../elements.ts';
import { button, empty, facts, heading, idLink, link, section } from '../parts.ts';
import { trouble } from '../trouble.ts';
import type { Place } from '../view.ts';
import { figure } from '../words.ts';
import { type Control, controlsOf } from './predictor-controls.ts';
import { publishingJobs } from './publishing-jobs.ts';

/** A job's predictor lies in a file of this name. */
const DOCUMENT = 'predictor.json';
const MOST_BYTES = 8e6;
/** After the last move of a slider. */
const SETTLED_MS = 120;

export async function fairness(place: Place, id?: string): Promise<Node> {
  return id === undefined ? list(place) : whatIf(place, id);
}

const list = (place: Place): Promise<Node> =>
  publishingJobs(place, {
    kind: 'predictor',
    title: 'Fairness',
    view: 'fairness',
    prefix: 'prd',
    caption: 'Jobs that fitted predictors, newest first',
    newest: 50,
    none: empty(
      'No job has fitted a predictor yet.',
      h('p', {}, 'Fit one, or register your own: ', h('a', { href: '/docs/fairness' }, 'the guide'), ' shows how.'),
    ),
  });

/** The document that a predictor is made of; null where it cannot be had, or is too large for a page. */
async function documentOf(predictor: Predictor, { client, signal }: Place): Promise<unknown> {
  if (predictor.body.document !== undefined) {
    return predictor.body.document;
  }
  if (predictor.job === null) {
    return null;
  }
  const { artefacts } = await client.jobs.get(predictor.job, { signal });
  const file = artefacts.find(({ name, bytes }) => name === DOCUMENT && bytes <= MOST_BYTES);
  return file ? JSON.parse(new TextDecoder().decode(await client.artefacts.bytes(file.id, { signal }))) : null;
}

async function whatIf(place: Place, id: string): Promise<Node> {
  const { client, signal } = place;
  const predictor = await client.fairness.predictor(id, { signal });
  const document = await documentOf(predictor, place).catch(() => null);
  const columns = predictor.body.columns as string[];
  const controls = controlsOf(columns, document);
  const answer = h('div', { 'aria-live': 'polite' });
  let [timer, asked, kept] = [0, 0, null as Prediction | null];
  let last: Prediction | null = null;

  const ask = async (): Promise<void> => {
    const number = ++asked;
    const cells = Object.fromEntries(controls.map(({ name, value }) => [name, [value()]]));
    try {
      const told = await client.fairness.predict(id, { columns: cells }, { signal });
      if (number === asked) {
        last = told;
        fill(answer, ...saying(told, kept));
      }
    } catch (error) {
      if (number === asked && !signal.aborted) {
        fill(
          answer,
          trouble(error, () => void ask()),
        );
      }
    }
  };
  const changed = (): void => {
    clearTimeout(timer);
    timer = window.setTimeout(() => void ask(), SETTLED_MS);
  };
  for (const { element } of controls) {
    element.addEventListener('input', changed);
  }
  void ask();
  const keep = (): void => {
    kept = last;
    if (last) {
      fill(answer, ...saying(last, kept));
    }
  };
  return h(
    'div',
    {},
    heading('What if', link('All predictors', 'fairness')),
    facts([
      ['Predictor', h('code', {}, predictor.id)],
      ['Kind', String(predictor.body.kind)],
      ['Sensitive attribute', h('bdi', {}, String(predictor.body.attribute ?? 'not used'))],
      ...(predictor.job ? [['Made by', idLink(predictor.job, 'jobs')] as const] : []),
    ]),
    h(
      'div',
      { class: 'split' },
      section('The person', h('div', { class: 'controls' }, ...controls.map(controlRow))),
      section('What it says', answer, button('Compare with this', keep)),
    ),
  );
}

const controlRow = ({ name, element, told }: Control, i: number): Node => {
  element.id = `control-${i}`;
  return h(
    'div',
    { class: 'control' },
    h('label', { for: element.id }, h('bdi', {}, name.slice(0, 200)), ' ', told),
    element,
  );
};

type Prediction = Awaited<ReturnType<Place['client']['fairness']['predict']>>;

function saying(told: Prediction, kept: Prediction | null): Child[] {
  const row = (name: string, of: (prediction: Prediction) => number | undefined): [string, Child] | null => {
    const [now, before] = [of(told), kept ? of(kept) : undefined];
    return now === undefined
      ? null
      : [
          name,
          before === undefined
            ? figure(now)
            : `${figure(now)}, before ${figure(before)} (${now >= before ? '+' : ''}${figure(now - before)})`,
        ];
  };
  const rows = [
    row('Score', ({ scores }) => scores[0]),
    row('Decision', ({ decisions }) => decisions?.[0]),
    row('Learned group', ({ routed }) => routed?.[0]),
    row('Gap now', ({ present_gap }) => present_gap?.[0]),
    row('Gap after the reaction', ({ future_gap }) => future_gap?.[0]),
  ].filter((entry) => entry !== null);
  const score = told.scores[0] ?? 0;
  return [
    facts(rows),
    score >= 0 && score <= 1 && h('meter', { min: 0, max: 1, value: score, 'aria-label': 'score' }),
    ...(told.unknown_levels ?? []).map(({ column }) =>
      h('p', { class: 'told' }, `${column}: this level is not known and counts as none`),
    ),
  ];
}
