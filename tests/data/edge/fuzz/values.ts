/** Values by schema, values that nearly fit one, and values that fit nothing. */
import fc from 'fast-check';
import { resolved, type Schema } from './contract.ts';

/** What the service reads as text, odd as Unicode has it. */
const text = fc.oneof(
  fc.string({ maxLength: 20 }),
  fc.string({ unit: 'binary', maxLength: 20 }),
  fc.constantFrom(
    '',
    '__proto__',
    'constructor',
    '\u202eabc',
    '\ud800',
    '\u0000',
    '../../etc/passwd',
    "' OR 1=1 --",
    '<script>',
    '1e999',
    'NaN',
  ),
);
const deep = fc.integer({ min: 1, max: 200 }).map((depth) => {
  let value: unknown = 1;
  for (let i = 0; i < depth; i++) {
    value = i % 2 ? [value] : { a: value };
  }
  return value;
});
export const hostile: fc.Arbitrary<unknown> = fc.oneof(
  fc.jsonValue({ maxDepth: 3 }),
  deep,
  text,
  fc.constantFrom(
    null,
    [],
    {},
    0,
    -1,
    1e308,
    2 ** 53,
    'x'.repeat(70_000),
    Array.from({ length: 3000 }, () => 0),
    { __proto__: null, constructor: {} },
  ),
);

const numberOf = (schema: Schema, whole: boolean): fc.Arbitrary<number> => {
  const low = Number(
    schema.minimum ?? (typeof schema.exclusiveMinimum === 'number' ? schema.exclusiveMinimum + 1e-3 : -1000),
  );
  const high = Math.min(Number(schema.maximum ?? low + 2000), low + 1e6);
  return whole
    ? fc.integer({ min: Math.ceil(low), max: Math.max(Math.ceil(low), Math.floor(Math.min(high, 2 ** 31 - 1))) })
    : fc.double({ min: low, max: Math.max(low, high), noNaN: true });
};

function textOf(schema: Schema): fc.Arbitrary<string> {
  if (typeof schema.pattern === 'string') {
    return fc.stringMatching(new RegExp(schema.pattern, 'u'), { size: 'small' });
  }
  const most = Math.min(Number(schema.maxLength ?? 12), 12);
  return fc.string({
    unit: 'grapheme-ascii',
    minLength: Math.min(Number(schema.minLength ?? 1), 12),
    maxLength: Math.max(1, most),
  });
}

/** Values that a schema allows, as far as it says so; `bare` leaves out what may be left out. */
export function fitting(given: Schema, depth = 0): fc.Arbitrary<unknown> {
  const schema = resolved(given);
  if ('const' in schema) {
    return fc.constant(schema.const);
  }
  if (Array.isArray(schema.enum)) {
    return fc.constantFrom(...schema.enum);
  }
  const choices = (schema.anyOf ?? schema.oneOf) as Schema[] | undefined;
  if (choices) {
    return fc.oneof(...choices.map((one) => fitting(one, depth + 1)));
  }
  if (Array.isArray(schema.allOf)) {
    return fc
      .tuple(...(schema.allOf as Schema[]).map((one) => fitting(one, depth)))
      .map((parts) => Object.assign({}, ...parts));
  }
  const types = Array.isArray(schema.type) ? (schema.type as string[]) : [schema.type as string | undefined];
  return fc.oneof(...types.map((type) => typed(schema, type, depth)));
}

function typed(schema: Schema, type: string | undefined, depth: number): fc.Arbitrary<unknown> {
  switch (type) {
    case 'string':
      return textOf(schema);
    case 'integer':
    case 'number':
      return numberOf(schema, type === 'integer');
    case 'boolean':
      return fc.boolean();
    case 'null':
      return fc.constant(null);
    case 'array': {
      const least = Number(schema.minItems ?? 0);
      return fc.array(fitting((schema.items as Schema | undefined) ?? {}, depth + 1), {
        minLength: least,
        maxLength: Math.max(least, depth > 4 ? 1 : 3),
      });
    }
    case 'object': {
      const properties = Object.entries((schema.properties as Record<string, Schema> | undefined) ?? {});
      const required = new Set((schema.required as string[] | undefined) ?? []);
      const kept = properties.filter(([name]) => required.has(name) || depth < 4);
      return fc.record(Object.fromEntries(kept.map(([name, one]) => [name, fitting(one, depth + 1)])), {
        requiredKeys: kept.map(([name]) => name).filter((name) => required.has(name)),
      });
    }
    default:
      return fc.jsonValue({ maxDepth: 1 });
  }
}

/** One thing wrong: a field less, a field more, a value of another kind. */
export const spoilt = (value: unknown): fc.Arbitrary<unknown> => {
  if (typeof value !== 'object' || value === null || Array.isArray(value) || Object.keys(value).length === 0) {
    return hostile;
  }
  const names = Object.keys(value);
  return fc.oneof(
    fc.constantFrom(...names).map((name) => Object.fromEntries(Object.entries(value).filter(([key]) => key !== name))),
    fc.tuple(text, hostile).map(([name, more]) => Object.fromEntries([...Object.entries(value), [name, more]])),
    fc.constantFrom(...names).chain((name) => hostile.map((other) => ({ ...value, [name]: other }))),
    fc
      .constantFrom(...names)
      .chain((name) => spoilt((value as Record<string, unknown>)[name]).map((other) => ({ ...value, [name]: other }))),
  );
};
