/** Which fields a schema has at a place: a refusal of an unknown field names the ones that exist. */
import type { z } from 'zod';
import type { FieldError } from '../../shared/contracts/problem.ts';

type Definition = {
  innerType?: z.ZodType;
  element?: z.ZodType;
  options?: readonly z.ZodType[];
  shape?: Record<string, z.ZodType>;
};
const definitionOf = (schema: z.ZodType): Definition => schema.def as unknown as Definition;

/** Field names at a JSON pointer; of a union, those of all alternatives; none where the schema is no object there. */
export function fieldsAt(schema: z.ZodType, pointer: string): string[] {
  const steps = pointer.split('/').slice(1);
  let here: z.ZodType[] = [schema];
  for (const step of [...steps, null]) {
    here = here.flatMap(opened);
    if (step === null) break;
    here = here.flatMap((one) => {
      const { shape, element } = definitionOf(one);
      const next = shape && Object.hasOwn(shape, step) ? shape[step] : element;
      return next ? [next] : [];
    });
  }
  return [...new Set(here.flatMap((one) => Object.keys(definitionOf(one).shape ?? {})))];
}

/** The schemas behind defaults, optionals and unions. */
function opened(schema: z.ZodType): z.ZodType[] {
  const { innerType, options } = definitionOf(schema);
  if (innerType) return opened(innerType);
  return options ? options.flatMap(opened) : [schema];
}

/** The same errors, those of unknown fields completed by the fields that exist there. */
export const withKnownFields = (errors: readonly FieldError[], schema: z.ZodType): FieldError[] =>
  errors.map((error) => {
    if (error.code !== 'unknown_field') return error;
    const known = fieldsAt(schema, error.pointer.slice(0, error.pointer.lastIndexOf('/')));
    return known.length > 0 ? { ...error, detail: `${error.detail}; the fields are ${known.join(', ')}` } : error;
  });
