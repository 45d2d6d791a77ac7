/** A file of a published model: one blob, or several that follow each other where it is above the limit of one. */
import type { Blob } from '../../shared/contracts/manifest.ts';
import { SextantError } from '../../shared/contracts/problem.ts';
import { blobKey } from '../artefacts/addresses.ts';
import type { Env } from '../environment.ts';
import type { PublishedResult } from './reading.ts';

type ModelFile = { parts: readonly Blob[]; bytes: number; digest: string; media_type: string };

/** @throws SextantError `not_found` */
export function modelFile({ id, manifest }: PublishedResult, name: string): ModelFile {
  const parts = manifest.blobs
    .filter((blob) => blob.name === name || blob.name.replace(/\.part-\d{4}$/, '') === name)
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  const [first] = parts;
  if (!first) {
    throw new SextantError('not_found', `the model ${id} has no file ${name}`);
  }
  const whole = (manifest.body.whole ?? {}) as Record<string, string>;
  return {
    parts,
    bytes: parts.reduce((sum, { bytes }) => sum + bytes, 0),
    digest: whole[name] ?? first.sha256,
    media_type: first.media_type,
  };
}

/** The bytes from `offset` on, `length` of them, read part by part as the client takes them. */
export function modelBytes(
  env: Env,
  tenant: string,
  { parts }: ModelFile,
  { offset, length }: { offset: number; length: number },
): ReadableStream<Uint8Array> {
  const pieces = sources(env, tenant, parts, offset, offset + length);
  return new ReadableStream({
    pull: async (controller) => {
      const { value, done } = await pieces.next();
      if (done) {
        controller.close();
      } else {
        controller.enqueue(value);
      }
    },
    cancel: async () => {
      await pieces.return();
    },
  });
}

async function* sources(
  env: Env,
  tenant: string,
  parts: readonly Blob[],
  from: number,
  to: number,
): AsyncGenerator<Uint8Array, void> {
  let begin = 0;
  for (const { sha256, bytes } of parts) {
    const [first, last] = [Math.max(from, begin), Math.min(to, begin + bytes)];
    if (first < last) {
      const range = { offset: first - begin, length: last - first };
      const object = await env.R2.get(blobKey(tenant, sha256), { range });
      if (!object) {
        throw new SextantError('unavailable', 'a part of the file cannot be read at this moment');
      }
      yield* object.body as unknown as AsyncIterable<Uint8Array>;
    }
    begin += bytes;
  }
}
