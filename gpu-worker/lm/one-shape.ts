/** Whether two models are of one shape. */
import type { Architecture } from '../../shared/models/architecture.ts';
import type { LanguageModel } from './inference/model.ts';

/** The first of these sizes in which two models differ; undefined where they agree in all. */
export const differingSize = <S extends keyof Architecture>(
  a: LanguageModel,
  b: LanguageModel,
  sizes: readonly S[],
): S | undefined => sizes.find((size) => a.architecture[size] !== b.architecture[size]);
