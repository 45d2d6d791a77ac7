/** Which fields a schema has at a place: a refusal of an unknown field names the ones that exist. */
import type { z } from 'zod';
import type { FieldError } from '../../shared/contracts/problem-document.ts';

type Definition = {
  innerType?: z.ZodType;
  element?: z.ZodType;
  options?: readonly z.ZodType[];
  /** The field that chooses among the options. */
  discriminator?: string;
  shape?: Record<string, z.ZodType>;
};
const definitionOf = (schema: z.ZodType): Definition => schema.def as unknown as Definition;

/**
 * Field names at a JSON pointer into `value`; of a union, those of the alternative that the value names, or of all; none
 * where the schema is no object there.
 */
function fieldsAt(schema: z.ZodType, pointer: string, value: unknown): string[] {
  const steps = pointer.split('/').slice(1);
  let here: z.ZodType[] = [schema];
  let inside: unknown = value;
  for (const step of [...steps, null]) {
    here = here.flatMap((one) => opened(one, inside));
    if (step === null) {
      break;
    }
    here = here.flatMap((one) => {
      const { shape, element } = definitionOf(one);
      const next = shape && Object.hasOwn(shape, step) ? shape[step] : element;
      return next ? [next] : [];
    });
    inside = memberOf(inside, step);
  }
  return [...new Set(here.flatMap((one) => Object.keys(definitionOf(one).shape ?? {})))];
}

const memberOf = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? (value as Record<string, unknown>)[name]
    : undefined;

/** The schemas behind defaults, optionals and unions. */
function opened(schema: z.ZodType, value: unknown): z.ZodType[] {
  const { innerType, options, discriminator } = definitionOf(schema);
  if (innerType) {
    return opened(innerType, value);
  }
  if (!options) {
    return [schema];
  }
  const named = options.filter((option) => {
    const tag = discriminator === undefined ? undefined : definitionOf(option).shape?.[discriminator];
    return tag?.safeParse(memberOf(value, discriminator!)).success;
  });
  return (named.length > 0 ? named : options).flatMap((option) => opened(option, value));
}

/** The same errors, those of unknown fields completed by the fields that exist there. */
export const withKnownFields = (errors: readonly FieldError[], schema: z.ZodType, value: unknown): FieldError[] =>
  errors.map((error) => {
    if (error.code !== 'unknown_field') {
      return error;
    }
    const known = fieldsAt(schema, error.pointer.slice(0, error.pointer.lastIndexOf('/')), value);
    return known.length > 0 ? { ...error, detail: `${error.detail}; the fields are ${known.join(', ')}` } : error;
  });
