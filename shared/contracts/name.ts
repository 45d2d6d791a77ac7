/** Names that people give to things: one rule for every place where one comes in. */
import { z } from 'zod';

/** Control characters, and marks that turn the direction of what follows: a list would show another name than there is. */
const UNSEEN = /[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/u;

/** What is wrong with a name, and what would be right; null for a good one. */
function nameFault(name: string): string | null {
  if (name === '.' || name === '..') {
    return 'a path cannot carry a name of dots alone; add another character';
  }
  if (!name.isWellFormed() || name.includes('\ufffd')) {
    return 'the name is not well-formed text; send it in UTF-8, percent-encoded where it stands in a path';
  }
  if (UNSEEN.test(name)) {
    return 'a name has no control or direction characters';
  }
  return null;
}

/** A name of 1 to `longest` characters, kept in Unicode's composed form (NFC), so that equal looks are equal names. */
export const nameSchema = (longest: number) =>
  z
    .string()
    .min(1)
    .max(longest)
    .normalize('NFC')
    .superRefine((name, context) => {
      const fault = nameFault(name);
      if (fault !== null) {
        context.addIssue({ code: 'custom', params: { code: 'name_invalid' }, message: fault });
      }
    });
