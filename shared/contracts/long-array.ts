/** Lists that hold a column of a table or a signal: their checking stops early, since a wrong column is wrong in every cell. */
import { z } from 'zod';

/** Faults after which nobody reads on. */
const MOST_FAULTS = 100;

const LongArray = z.core.$constructor('LongArray', (list: z.ZodArray, definition: z.core.$ZodArrayDef) => {
  z.ZodArray.init(list, definition);
  const check = list._zod.parse;
  list._zod.parse = (payload, context) => {
    const given: unknown = payload.value;
    if (!Array.isArray(given) || given.length <= MOST_FAULTS) {
      return check(payload, context);
    }
    const kept: unknown[] = new Array(given.length);
    payload.value = kept;
    for (let i = 0; i < given.length && payload.issues.length < MOST_FAULTS; i += 1) {
      const result = definition.element._zod.run({ value: given[i], issues: [] }, context);
      if (result instanceof Promise) {
        throw new Error('elements of a long list are checked at once');
      }
      payload.issues.push(...z.core.util.prefixIssues(i, result.issues));
      kept[i] = result.value;
    }
    return payload;
  };
});

/**
 * `z.array(element)` whose checking stops at the hundredth faulty element: a hundred thousand wrong cells would otherwise
 * be told one by one, at the expense of whoever shares the isolate.
 */
export const longArray = <E extends z.ZodType>(element: E): z.ZodArray<E> =>
  new LongArray({ type: 'array', element }) as unknown as z.ZodArray<E>;
