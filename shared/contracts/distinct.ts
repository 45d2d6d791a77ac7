/** Lists whose elements are told apart by a name. */
import type { z } from 'zod';

/** A check of such a list: an element whose name stood before is refused, at its place. `what` names an element. */
export const distinct =
  <T>(what: string, nameOf: (element: T) => string) =>
  (list: readonly T[], context: z.RefinementCtx): void => {
    const seen = new Map<string, number>();
    for (const [i, element] of list.entries()) {
      const name = nameOf(element);
      const first = seen.get(name);
      if (first !== undefined) {
        const message = `the ${what} ${name.slice(0, 100)} stands at ${first} already`;
        context.addIssue({ code: 'custom', path: [i], message, params: { code: 'duplicate' } });
        // one fault tells it
        return;
      }
      seen.set(name, i);
    }
  };
