/** References in a recipe: `{"from": "…"}` stands for a value, never for a piece of text. */
import { EVENT_FIELDS, type InboundEvent } from '../../../shared/contracts/inbound.ts';
import { jsonPointer } from '../../../shared/contracts/problem.ts';

export type Reference =
  | { root: 'event'; field: keyof InboundEvent }
  | { root: 'item'; path: string[] }
  | { root: 'steps'; step: string; part: 'result' | 'artefacts' | 'published'; path: string[] };

const PARTS = ['result', 'artefacts', 'published'] as const;

/** The reference that the text spells, or what is wrong with it. */
export function parseReference(text: string): Reference | { fault: string } {
  const [root, ...rest] = text.split('.');
  if (rest.includes('')) {
    return { fault: `${text}: an empty name between dots` };
  }
  if (root === 'item') {
    return { root, path: rest };
  }
  if (root === 'event') {
    const field = EVENT_FIELDS.find((name) => name === rest[0]);
    if (field && rest.length === 1) {
      return { root, field };
    }
    return { fault: `${text}: an event has ${EVENT_FIELDS.join(', ')}` };
  }
  if (root === 'steps') {
    const [step, part, ...path] = rest;
    const known = PARTS.find((name) => name === part);
    if (step && known) {
      return { root, step, part: known, path };
    }
    return { fault: `${text}: say steps.<step>.result, .artefacts or .published` };
  }
  return { fault: `${text}: a reference begins with event., steps. or item` };
}

/** The text of a value that is a reference; undefined for every other value. */
function referenceText(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return undefined;
  }
  const { from, ...rest } = value as { from?: unknown };
  return typeof from === 'string' && Object.keys(rest).length === 0 ? from : undefined;
}

type Found = { text: string; pointer: string };

/** Every reference inside a value, with its JSON pointer below `path`. */
export function referencesIn(value: unknown, path: readonly PropertyKey[] = []): Found[] {
  const text = referenceText(value);
  if (text !== undefined) {
    return [{ text, pointer: jsonPointer(path) }];
  }
  if (typeof value !== 'object' || value === null) {
    return [];
  }
  return Object.entries(value).flatMap(([name, inside]) => referencesIn(inside, [...path, name]));
}

/** The same value with every reference replaced by what `resolve` gives for it. */
export function replaceReferences(value: unknown, resolve: (text: string) => unknown): unknown {
  const text = referenceText(value);
  if (text !== undefined) {
    return resolve(text);
  }
  if (Array.isArray(value)) {
    return value.map((inside) => replaceReferences(inside, resolve));
  }
  if (typeof value !== 'object' || value === null) {
    return value;
  }
  return Object.fromEntries(Object.entries(value).map(([name, inside]) => [name, replaceReferences(inside, resolve)]));
}

/** Steps that a step waits for: those it needs and those it refers to. */
export function stepsBefore(step: { needs: readonly string[]; params: unknown; over?: unknown }): string[] {
  const named = [...referencesIn(step.params), ...referencesIn(step.over)].flatMap(({ text }) => {
    const reference = parseReference(text);
    return 'root' in reference && reference.root === 'steps' ? [reference.step] : [];
  });
  return [...new Set([...step.needs, ...named])];
}

/** Fields of the event that a recipe cannot do without. */
export const eventFieldsOf = (body: {
  steps: readonly { params: unknown; over?: unknown }[];
}): (keyof InboundEvent)[] => [
  ...new Set(
    body.steps
      .flatMap((step) => [...referencesIn(step.params), ...referencesIn(step.over)])
      .flatMap(({ text }) => {
        const reference = parseReference(text);
        return 'root' in reference && reference.root === 'event' ? [reference.field] : [];
      }),
  ),
];
