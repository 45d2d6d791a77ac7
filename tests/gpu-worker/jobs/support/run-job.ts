/** Runs a job's handler as the worker would, with its artefacts in a folder that goes with the test file. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import type { z } from 'zod';
import type { Handler, HandlerInput, JobOutcome } from '../../../../gpu-worker/jobs/handler.ts';
import type { Blob, Manifest } from '../../../../shared/contracts/manifest.ts';
import { manifestSchema } from '../../../../shared/contracts/manifest.ts';
import type { JobContract } from '../../../../shared/jobs/contract.ts';
import { sha256Hex } from '../../../../shared/signing/digest.ts';

export type Files = Map<string, { blob: Blob; path: string }>;
export type Ran<R = Record<string, unknown>> = { outcome: JobOutcome<R>; files: Files; progress: number[] };

/** What runs jobs and takes uploads for one test file, in a folder that goes with the file, which calls this as it loads. */
export function jobsOfFile() {
  const scratch = mkdtempSync(join(tmpdir(), 'sextant-fairness-'));
  afterAll(() => rmSync(scratch, { recursive: true }));

  /**
   * Runs a handler as the worker would: params through the contract, the result against its schema.
   * @param files takes what the handler writes, also when it fails
   */
  async function runJob<P extends z.ZodType, R extends z.ZodType>(
    contract: JobContract<P, R>,
    handler: Handler,
    params: unknown,
    inputs: Record<string, HandlerInput> = {},
    models: Record<string, string> = {},
    files: Files = new Map(),
  ): Promise<Ran<z.output<R>>> {
    const progress: number[] = [];
    const outcome = (await handler({
      params: contract.params.parse(params),
      configuration: {
        device: 'cpu',
        threads: 1,
        models,
        corpora: {},
        hubs: {},
        cache: scratch,
        memory_limit_bytes: 1e9,
      },
      scratch,
      memory: join(scratch, 'memory'),
      input(id) {
        const found = inputs[id];
        if (!found) {
          throw new Error(`no input ${id}`);
        }
        return found;
      },
      progress: ({ fraction }) => progress.push(fraction),
      async artefact(name, media_type, content) {
        if (!(content instanceof Uint8Array) && !('file' in content)) {
          throw new Error('bytes or a file expected');
        }
        const bytes = content instanceof Uint8Array ? content : readFileSync(content.file);
        const path = join(scratch, `${files.size}-${crypto.randomUUID()}`);
        writeFileSync(path, bytes);
        const blob = { name, media_type, bytes: bytes.length, sha256: await sha256Hex(new Uint8Array(bytes)) };
        files.set(name, { blob, path });
        return blob;
      },
      describeModel: () => undefined,
      tellTokens: null,
      checkpoint: { last: null, urgent: false, save: async () => true },
    })) as JobOutcome<z.output<R>>;
    contract.result.parse(outcome.result);
    for (const result of outcome.published) {
      manifestSchema.parse(result);
    }
    return { outcome, files, progress };
  }

  /** A file that a client sent. */
  function upload(name: string, bytes: Uint8Array | string): HandlerInput {
    const path = join(scratch, `${crypto.randomUUID()}-${name}`);
    writeFileSync(path, bytes);
    return {
      manifest: null,
      blobs: [{ name, sha256: '0'.repeat(64), bytes: bytes.length, media_type: 'text/csv' }],
      file: async () => path,
    };
  }
  return { runJob, upload };
}

/** What a published result looks like as an input of the next job. */
export const asInput = (manifest: Manifest, files: Files): HandlerInput => ({
  manifest,
  blobs: manifest.blobs,
  file: async (name) => files.get(name)!.path,
});
export const ART = `art_${'a'.repeat(26)}`;
