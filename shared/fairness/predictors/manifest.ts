/** What the manifest of a predictor holds, whether a client registered it or a job published it. */
import type { CompiledPredictor } from './compiled.ts';

/** Blob with the document's JSON, for predictors that jobs publish; registered ones keep it in `body.document`. */
export const PREDICTOR_BLOB = 'predictor.json';

/** The readable part of a predictor's manifest body. */
export const predictorBody = ({ kind, columns, attribute, features, cost }: CompiledPredictor) => ({
  kind,
  columns: [...columns],
  attribute,
  features,
  multiply_adds_per_row: cost.multiplyAdds,
});
