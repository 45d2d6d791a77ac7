/** Handler of `fairness.correct`. */
import { readFile } from 'node:fs/promises';
import { SextantError } from '../../shared/contracts/problem.ts';
import { correct } from '../../shared/fairness/corrections/correct.ts';
import { type Correction, correctionSchema } from '../../shared/fairness/corrections/document.ts';
import { placed } from '../../shared/fairness/data-error.ts';
import { predictorDocumentSchema } from '../../shared/fairness/predictors/document.ts';
import contract from '../../shared/jobs/fairness.correct.ts';
import { canonicalJson, sha256Hex } from '../../shared/signing/digest.ts';
import { publishedPredictor } from '../fairness/publish.ts';
import { handle } from './handler.ts';

/** An uploaded correction. Raises `data_invalid` for a file that is none. */
async function uploaded(bytes: Uint8Array): Promise<Correction> {
  let given: unknown;
  try {
    given = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw new SextantError('data_invalid', 'the uploaded correction is not JSON in UTF-8');
  }
  const parsed = correctionSchema.safeParse(given);
  if (parsed.success) {
    return parsed.data;
  }
  // The value itself is not quoted: it may be a group label.
  const [first] = parsed.error.issues;
  const pointer = first ? `/${first.path.join('/')}` : '';
  throw new SextantError('data_invalid', `the uploaded correction is none: ${first?.message} at ${pointer}`);
}

export default handle(contract, async ({ params, artefact, input, progress }) => {
  const given = params.correction;
  let correction: Correction;
  if ('artefact' in given) {
    const file = input(given.artefact);
    const [blob] = file.blobs;
    if (!blob) {
      throw new SextantError('input_not_found', `the artefact ${given.artefact} has no bytes`);
    }
    correction = await uploaded(new Uint8Array(await readFile(await file.file(blob.name))));
  } else {
    correction = given;
  }
  progress({ fraction: 0.2, stage: 'correcting', metrics: {} });
  const answer = placed(
    (pointer) => ('artefact' in given ? pointer : `/correction${pointer}`),
    () => correct(correction),
  );
  const text = JSON.stringify(answer);
  await artefact('answer.json', 'application/json', new TextEncoder().encode(text));
  const seed = 'seed' in correction ? correction.seed : null;
  const document = predictorDocumentSchema.safeParse(answer.predictor);
  const published = document.success
    ? await publishedPredictor(
        document.data,
        {
          method: 'fairness.correct',
          params: { method: correction.method },
          seed: seed ?? 0,
          dataDigest: await sha256Hex(canonicalJson(correction)),
        },
        artefact,
      )
    : undefined;
  return {
    result: {
      method: correction.method,
      artefact: 'answer.json',
      predictor: published?.id ?? null,
      corrected: answer.corrected === true,
    },
    published: published ? [published.manifest] : [],
    metrics: {},
    run: { device: 'cpu', dtype: 'float64', seed, tolerance: null },
  };
});
