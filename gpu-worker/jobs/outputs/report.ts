/** Reports as published results: what a job measured on a model, without the device and time it took. */
import type { Blob, Manifest } from '../../../shared/contracts/manifest.ts';
import { manifestOf, reportFiles, type StudyReport } from '../../study/index.ts';
import type { JobContext } from '../handler.ts';

type ReportOf = {
  /** The job type. */
  method: string;
  /** As validated; how the params named the model is left out, since its digest says what it is. */
  params: { model: unknown };
  /** What it was measured on; null where nobody knows. */
  model: { id: string | null; digest: string | null };
  seed: number | null;
  hook?: string | null;
  dataDigest: string | null;
  blobs?: Blob[];
  body: Record<string, unknown>;
};

export function reportManifest({
  method,
  params,
  model,
  seed,
  hook = null,
  dataDigest,
  blobs = [],
  body,
}: ReportOf): Manifest {
  const { model: _reference, ...rest } = params;
  return manifestOf({
    kind: 'report',
    method,
    params: rest,
    seed,
    model: model.id,
    model_digest: model.digest,
    hook,
    data_digest: dataDigest,
    blobs,
    body,
  });
}

/**
 * Registers the files of a study's report and returns the manifest that publishes them.
 * @throws SextantError `not_finite` where a number of the report is NaN or infinite
 */
export async function publishReport(
  context: Pick<JobContext<unknown>, 'artefact'>,
  report: StudyReport,
  of: Omit<ReportOf, 'blobs'>,
): Promise<Manifest> {
  const blobs: Blob[] = [];
  for (const { name, mediaType, content } of reportFiles(report)) {
    blobs.push(await context.artefact(name, mediaType, content));
  }
  return reportManifest({ ...of, blobs });
}
