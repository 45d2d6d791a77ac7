/** A control for every column that a predictor reads: a slider for numbers, a choice for levels. */
import { h } from '../elements.ts';
import { figure } from '../words.ts';

export type Control = {
  name: string;
  element: HTMLInputElement | HTMLSelectElement;
  /** What it stands at, in words. */
  told: HTMLElement;
  /** As the predictor takes it. */
  value: () => string | number;
};

type Input = { kind: string; name: string; mean?: number; scale?: number; levels?: string[]; reference?: string };
/** What of a document says how columns are read; which of these a document has depends on its kind. */
type Document = {
  inputs?: Input[];
  covariates?: Input[];
  attribute?: string | { name: string; labels: string[] };
  groups?: { level: string }[];
  base?: { inputs?: Input[] };
};

/** A slider goes so many standard deviations to each side. */
const REACH = 4;

/** @param document null where it is not known: every column is a number then */
export function controlsOf(columns: readonly string[], document: unknown): Control[] {
  const { inputs = [], covariates = [], attribute, groups, base } = (document ?? {}) as Document;
  const known = [...inputs, ...covariates, ...(base?.inputs ?? [])];
  return columns.map((name) => {
    const labels =
      typeof attribute === 'object' && attribute.name === name
        ? attribute.labels
        : attribute === name
          ? groups?.map(({ level }) => level)
          : undefined;
    const input = known.find((one) => one.name === name);
    const levels = labels ?? input?.levels;
    return levels ? choice(name, [...levels, ...(input?.reference ? [input.reference] : [])]) : slider(name, input);
  });
}

function choice(name: string, levels: readonly string[]): Control {
  const element = h('select', {}, ...[...new Set(levels)].map((level) => h('option', { value: level }, level)));
  return { name, element, told: h('span'), value: () => element.value };
}

function slider(name: string, { mean = 0, scale = 1 }: Partial<Input> = {}): Control {
  const element = h('input', {
    type: 'range',
    min: mean - REACH * scale,
    max: mean + REACH * scale,
    step: scale / 25,
    value: mean,
  });
  const told = h('output');
  const tell = (): void => {
    told.textContent = figure(Number(element.value));
  };
  element.addEventListener('input', tell);
  tell();
  return { name, element, told, value: () => Number(element.value) };
}
