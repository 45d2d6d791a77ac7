/** Files of activations that params name, as one array of rows with its digest and what is known of where they are from. */
import type { ActivationFile } from '../../../shared/contracts/activation-files.ts';
import type { Blob } from '../../../shared/contracts/manifest.ts';
import { SextantError } from '../../../shared/contracts/problem.ts';
import { canonicalJson, sha256Hex } from '../../../shared/signing/digest.ts';
import { openRowFile, RowFiles } from '../../sae/index.ts';
import type { HandlerInput, JobContext } from '../handler.ts';

/** The model and hook point that rows were extracted from; null where the files do not say, or not the same. */
export type RowsOrigin = { id: string | null; digest: string | null; hook: string | null };
export type OpenedActivations = { files: RowFiles; count: number; digest: string; origin: RowsOrigin };

/**
 * Fetches the files one by one and looks at their heads; their rows stay on disk.
 * @throws SextantError `input_not_found`, `artefact_mismatch`, `unavailable`, `data_invalid`
 */
export async function openActivations(
  context: Pick<JobContext<unknown>, 'input' | 'scratch'>,
  given: readonly ActivationFile[],
): Promise<OpenedActivations> {
  const opened = [];
  const digests = [];
  const origins: RowsOrigin[] = [];
  for (const [i, { artefact, tensor }] of given.entries()) {
    const input = context.input(artefact);
    origins.push(originOf(input, tensor));
    for (const blob of shardsOf(input, artefact)) {
      const name = input.manifest ? `/activations/${i} ${blob.name}` : `/activations/${i}`;
      opened.push(openRowFile(await input.file(blob.name), { name, tensor, scratch: context.scratch }));
      digests.push({ sha256: blob.sha256, tensor });
    }
  }
  return {
    files: new RowFiles(opened),
    count: opened.length,
    digest: await sha256Hex(canonicalJson({ activations: digests })),
    origin: agreed(origins),
  };
}

/** The files of rows of an input, in their order. */
function shardsOf({ manifest, blobs }: HandlerInput, id: string): readonly Blob[] {
  if (!manifest) {
    return blobs;
  }
  if (manifest.method !== 'activations.extract') {
    throw new SextantError('data_invalid', `${id} was published by ${manifest.method}, which stores no activations`);
  }
  return [...blobs].sort((a, b) => (a.name < b.name ? -1 : 1));
}

const originOf = ({ manifest }: HandlerInput, tensor: string | null): RowsOrigin => ({
  id: manifest?.model ?? null,
  digest: manifest?.model_digest ?? null,
  hook: manifest ? (tensor ?? manifest.hook) : null,
});

function agreed(origins: readonly RowsOrigin[]): RowsOrigin {
  const common = (name: keyof RowsOrigin): string | null => {
    const values = new Set(origins.map((origin) => origin[name]));
    return values.size === 1 ? ([...values][0] ?? null) : null;
  };
  return { id: common('id'), digest: common('digest'), hook: common('hook') };
}
