/** Which blocks a repair tries, and which models it can be made between. */
import { SextantError } from '../../../shared/contracts/problem.ts';
import type { LanguageModel } from '../../lm/index.ts';
import type { Source } from './candidates.ts';

/** The stream that enters block l was written by the block before: that one and l itself, of both sources. */
export const repairBlocks = (base: Source, copy: Source | null, layers: number): number[] =>
  [...new Set([copy, base].flatMap((source) => (source ? [source.layer - 1, source.layer] : [])))]
    .filter((block) => block >= 0 && block < layers)
    .sort((a, b) => a - b);

/** @throws SextantError `width_mismatch` where vectors of one do not fit the other */
export function requireSameShape(
  { architecture: a }: LanguageModel,
  { architecture: b }: LanguageModel,
  pointer: string,
): void {
  const differing = (['width', 'layers', 'vocabulary', 'mlpWidth'] as const).find((name) => a[name] !== b[name]);
  if (differing) {
    throw new SextantError(
      'width_mismatch',
      `${pointer}: its ${differing} is ${b[differing]}, that of the base model ${a[differing]}; a copy has the shape of its base`,
    );
  }
}
