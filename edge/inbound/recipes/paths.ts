/** Paths into results: whether a job type's result can have one, and the value that lies there. */
import type { z } from 'zod';

type Definition = {
  type: string;
  innerType?: z.ZodType;
  element?: z.ZodType;
  valueType?: z.ZodType;
  options?: readonly z.ZodType[];
  shape?: Record<string, z.ZodType>;
  items?: readonly z.ZodType[];
  in?: z.ZodType;
};
const definitionOf = (schema: z.ZodType): Definition => schema.def as unknown as Definition;

/** Names with dots in them, such as hook points, take several parts of a path: every way to join them is tried. */
const joined = (path: readonly string[]): [name: string, rest: string[]][] =>
  path.map((_, i) => [path.slice(0, i + 1).join('.'), path.slice(i + 1)]);

/** Whether values of this schema can have something at the path. */
export function schemaHas(schema: z.ZodType, path: readonly string[]): boolean {
  const { type, innerType, element, valueType, options, shape, items, in: inside } = definitionOf(schema);
  if (innerType) {
    return schemaHas(innerType, path);
  }
  if (type === 'pipe' && inside) {
    return schemaHas(inside, path);
  }
  if (path.length === 0 || type === 'unknown' || type === 'any') {
    return true;
  }
  if (options) {
    return options.some((option) => schemaHas(option, path));
  }
  const [first = '', ...rest] = path;
  if (element) {
    return /^\d{1,6}$/.test(first) && schemaHas(element, rest);
  }
  if (items) {
    return (
      /^\d{1,6}$/.test(first) &&
      items[Number(first)] !== undefined &&
      schemaHas(items[Number(first)] as z.ZodType, rest)
    );
  }
  if (valueType) {
    return joined(path).some(([, after]) => schemaHas(valueType, after));
  }
  return joined(path).some(([name, after]) => {
    const field = shape && Object.hasOwn(shape, name) ? shape[name] : undefined;
    return field !== undefined && schemaHas(field, after);
  });
}

/** Names that lie directly below the path, for a message that says what would be right. */
export function namesAt(schema: z.ZodType, path: readonly string[]): string[] {
  const { type, innerType, element, options, shape, in: inside } = definitionOf(schema);
  if (innerType) {
    return namesAt(innerType, path);
  }
  if (type === 'pipe' && inside) {
    return namesAt(inside, path);
  }
  if (options) {
    return [...new Set(options.flatMap((option) => namesAt(option, path)))];
  }
  const [first, ...rest] = path;
  if (first === undefined) {
    return Object.keys(shape ?? {});
  }
  if (element) {
    return namesAt(element, rest);
  }
  const field = shape && Object.hasOwn(shape, first) ? shape[first] : undefined;
  return field ? namesAt(field, rest) : Object.keys(shape ?? {});
}

/** The value at the path; undefined where there is none. */
export function valueIn(value: unknown, path: readonly string[]): unknown {
  if (path.length === 0) {
    return value;
  }
  if (typeof value !== 'object' || value === null) {
    return undefined;
  }
  for (const [name, rest] of joined(path)) {
    if (Object.hasOwn(value, name)) {
      const found = valueIn((value as Record<string, unknown>)[name], rest);
      if (found !== undefined) {
        return found;
      }
    }
  }
  return undefined;
}
