/** Which blocks a repair tries, and which models it can be made between. */
import { SextantError } from '../../../shared/contracts/problem.ts';
import { differingSize, type LanguageModel } from '../../lm/index.ts';
import type { Source } from './candidates.ts';

/** The stream that enters block l was written by the block before: that one and l itself, of both sources. */
export const repairBlocks = (base: Source, copy: Source | null, layers: number): number[] =>
  [...new Set([copy, base].flatMap((source) => (source ? [source.layer - 1, source.layer] : [])))]
    .filter((block) => block >= 0 && block < layers)
    .sort((a, b) => a - b);

/** @throws SextantError `width_mismatch` where vectors of one do not fit the other */
export function requireSameShape(base: LanguageModel, copy: LanguageModel, pointer: string): void {
  const size = differingSize(base, copy, ['width', 'layers', 'vocabulary', 'mlpWidth']);
  if (size) {
    throw new SextantError(
      'width_mismatch',
      `${pointer}: its ${size} is ${copy.architecture[size]}, that of the base model ${base.architecture[size]}; a copy has the shape of its base`,
    );
  }
}
