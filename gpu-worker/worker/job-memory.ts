/** Where a worker keeps what a job needs between its attempts. Named by a digest of the job's id, as the edge tells deletions. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { sha256Hex } from '../../shared/signing/digest.ts';

const folderOf = (digest: string, cache: string): string => join(cache, 'jobs', digest);

export const memoryOf = async (job: string, cache: string): Promise<string> => folderOf(await sha256Hex(job), cache);

/** Forgets the job of this digest, if this worker has had it. */
export const dropMemory = (digest: string, cache: string): Promise<void> =>
  rm(folderOf(digest, cache), { recursive: true, force: true });
