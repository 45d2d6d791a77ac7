/** Names that requests give to columns and variables; tables, maps and results are keyed by them. */
import { z } from 'zod';

/** Characters that no name holds: they end lines, or say one thing and show another. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused
export const CONTROL_CHARACTERS = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/;

/** `__proto__` is no name: as the key of a map it would be dropped, here or by whoever reads the answer. */
export const columnNameSchema = z
  .string()
  .min(1)
  .max(200)
  .refine((name) => name !== '__proto__', 'this name cannot be used; any other can')
  .refine((name) => !CONTROL_CHARACTERS.test(name), 'names hold no control characters');

/** Refuses the second of two equal names, where it stands. */
const refuseRepeats = (names: readonly string[], context: z.core.$RefinementCtx): void => {
  names.forEach((name, k) => {
    if (names.indexOf(name) !== k) {
      context.addIssue({
        code: 'custom',
        path: [k],
        message: `${name} is listed twice`,
        params: { code: 'name_repeated' },
      });
    }
  });
};

/** A list of different names. */
export const distinctNamesSchema = z.array(columnNameSchema).superRefine(refuseRepeats);
