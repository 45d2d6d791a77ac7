/** Params of a job with one of their lists or texts as long as its contract admits, and everything else as it was. */
import { z } from 'zod';
import type { JobContract } from '../../../shared/jobs/contract.ts';

type Schema = {
  type?: string;
  anyOf?: Schema[];
  oneOf?: Schema[];
  const?: unknown;
  enum?: unknown[];
  pattern?: string;
  minLength?: number;
  maxLength?: number;
  items?: Schema;
  prefixItems?: Schema[];
  minItems?: number;
  maxItems?: number;
  minimum?: number;
  exclusiveMinimum?: number;
  maximum?: number;
  exclusiveMaximum?: number;
  properties?: Record<string, Schema>;
  required?: string[];
  additionalProperties?: boolean | Schema;
};
type Path = (string | number)[];

/** A list or a text of params: where it stands, and how many items or characters it may have; null where only the body bounds it. */
export type Stretch = { at: Path; what: 'items' | 'characters'; most: number | null; items?: Schema };

/** Texts that lists of words, hook points and names are built of. */
const PLAIN = ['f1', 'resid_post.1', 'f1.f1', 'name'];

const schemaOf = ({ params }: Pick<JobContract, 'params'>): Schema =>
  z.toJSONSchema(params, { io: 'input', unrepresentable: 'any' }) as Schema;

const branches = (schema: Schema): Schema[] => (schema.anyOf ?? schema.oneOf)?.flatMap(branches) ?? [schema];

function fits(
  { type, properties = {}, required = [], additionalProperties, ...schema }: Schema,
  value: unknown,
): boolean {
  if (schema.const !== undefined && schema.const !== value) {
    return false;
  }
  if (Array.isArray(value)) {
    return type === 'array';
  }
  if (typeof value === 'object' && value !== null) {
    const own = value as Record<string, unknown>;
    return (
      type === 'object' &&
      required.every((name) => name in own || properties[name]?.const === undefined) &&
      Object.entries(own).every(([name, of]) =>
        name in properties
          ? branches(properties[name] as Schema).some((one) => fits(one, of))
          : additionalProperties !== false && additionalProperties !== undefined,
      )
    );
  }
  const own = value === null ? 'null' : typeof value;
  return type === own || (type === 'integer' && own === 'number');
}

/** A small value of the schema; undefined where it needs what is not at hand, such as an id. */
function sample(schema: Schema): unknown {
  const [first] = branches(schema).filter(({ type }) => type !== 'null');
  const {
    type,
    minimum,
    exclusiveMinimum,
    minItems = 0,
    minLength = 0,
    items,
    properties = {},
    required = [],
  } = first ?? {};
  if (first?.const !== undefined || first?.enum) {
    return first.const ?? first.enum?.[0];
  }
  switch (type) {
    case 'string':
      return PLAIN.find((text) => text.length >= minLength && new RegExp(first?.pattern ?? '').test(text));
    case 'integer':
    case 'number':
      return minimum ?? (exclusiveMinimum === undefined ? 1 : exclusiveMinimum + 0.5);
    case 'boolean':
      return false;
    case 'array':
      return Array.from({ length: minItems }, () => sample(items ?? {}));
    case 'object':
      return Object.fromEntries(required.map((name) => [name, sample(properties[name] ?? {})]));
    default:
      return undefined;
  }
}

/** Every list and text of the params: those that are there, and those that could be there beside them. */
export function stretchesOf(contract: Pick<JobContract, 'params'>, params: unknown): Stretch[] {
  const found: Stretch[] = [];
  const walk = (schema: Schema, value: unknown, at: Path): void => {
    const [own] = branches(schema).filter((one) => (value === undefined ? one.type !== 'null' : fits(one, value)));
    if (!own || own.const !== undefined || own.enum) {
      return;
    }
    if (own.type === 'string') {
      found.push({ at, what: 'characters', most: own.maxLength ?? null });
    } else if (own.type === 'array') {
      found.push({ at, what: 'items', most: own.maxItems ?? null, items: own.items ?? {} });
      if (Array.isArray(value) && own.items && value.length > 0) {
        walk(own.items, value[0], [...at, 0]);
      }
    } else if (own.type === 'object' && value !== undefined) {
      const given = value as Record<string, unknown>;
      for (const [name, of] of Object.entries(own.properties ?? {})) {
        walk(of, given[name], [...at, name]);
      }
      if (typeof own.additionalProperties === 'object') {
        const [name] = Object.keys(given).filter((key) => !(key in (own.properties ?? {})));
        if (name !== undefined) {
          walk(own.additionalProperties, given[name], [...at, name]);
        }
      }
    }
  };
  walk(schemaOf(contract), params, []);
  // ids, digests and other texts of a fixed form are no longer than that form
  return found.filter(
    ({ what, most, at }) => what === 'items' || most !== null || typeof valueAt(params, at) !== 'string',
  );
}

const valueAt = (params: unknown, at: Path): unknown =>
  at.reduce<unknown>((value, key) => (value as Record<string, unknown> | undefined)?.[key], params);

/** The i-th of many items like this one: told apart where it has something to be told apart by. */
function vary(item: unknown, i: number, { maximum, exclusiveMaximum, type }: Schema, repeated: boolean): unknown {
  if (repeated || i === 0) {
    return item;
  }
  if (typeof item === 'string') {
    return /^(resid|mlp|attn)/.test(item) ? item : `${item} f${i % 16} f${(i >> 4) % 16} f${(i >> 8) % 16}`;
  }
  if (typeof item === 'number') {
    const most = maximum ?? (exclusiveMaximum === undefined ? Number.POSITIVE_INFINITY : exclusiveMaximum - 1e-9);
    return type === 'integer' || Number.isInteger(item)
      ? Math.min(most, item + i)
      : Math.min(most, item * (1 + i / 1000));
  }
  if (typeof item === 'object' && item !== null && !Array.isArray(item)) {
    const own = item as Record<string, unknown>;
    const told = ['label', 'name'].filter((name) => typeof own[name] === 'string');
    return { ...own, ...Object.fromEntries(told.map((name) => [name, `${String(own[name])}${i}`])) };
  }
  return item;
}

/**
 * The params with this list or text at so much of its length; null where nothing of its kind can be made up here.
 * @param repeated the items of a list are equal, not told apart
 */
export function stretched(
  params: unknown,
  { at, what, items = {} }: Stretch,
  length: number,
  repeated: boolean,
): unknown {
  const copy = structuredClone(params) as Record<string, unknown>;
  const given = valueAt(copy, at);
  let value: unknown;
  if (what === 'characters') {
    value = (typeof given === 'string' && given ? `${given} ` : '').padEnd(length, 'f1 f2 ').slice(0, length);
  } else {
    const own = Array.isArray(given) && given.length > 0 ? given : [sample(items)];
    if (own.some((item) => item === undefined || JSON.stringify(item).includes('null,null'))) {
      return null;
    }
    value = Array.from({ length }, (_, i) => vary(own[i % own.length], Math.floor(i / own.length), items, repeated));
  }
  if (at.length === 0) {
    return value;
  }
  const holder = valueAt(copy, at.slice(0, -1)) as Record<string, unknown>;
  holder[at.at(-1) as string] = value;
  return copy;
}
