/** Plays the uploading side: bytes laid straight where a presigned address would put them. */
import { env } from 'cloudflare:workers';
import { stagingKey } from '../../../edge/artefacts/addresses.ts';
import type { AnnouncedArtefact } from '../../../edge/artefacts/promotion.ts';
import type { StagingArea } from '../../../edge/artefacts/upload.ts';
import { sha256Hex } from '../../../shared/signing/digest.ts';

export const newArea = (tenant: string, attempt = 1): StagingArea => ({
  tenant,
  job: `job_${crypto.randomUUID()}`,
  attempt,
});

export async function announce(n: number, content: string | Uint8Array<ArrayBuffer>): Promise<AnnouncedArtefact> {
  const bytes = typeof content === 'string' ? new Uint8Array(new TextEncoder().encode(content)) : content;
  return {
    n,
    name: `part-${n}`,
    sha256: await sha256Hex(bytes),
    bytes: bytes.byteLength,
    media_type: 'application/octet-stream',
  };
}

export const stage = (area: StagingArea, n: number, content: string | Uint8Array<ArrayBuffer>): Promise<unknown> =>
  env.R2.put(stagingKey(area.tenant, area.job, area.attempt, n), content);
