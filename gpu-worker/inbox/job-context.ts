/** What a handler sees of its surroundings: files in and out, and a way to speak to the inbox process. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat, writeFile } from 'node:fs/promises';
import { isAbsolute, join, relative } from 'node:path';
import { SextantError } from '../../shared/contracts/problem.ts';
import type { Blob } from '../../shared/contracts/thing.ts';
import { SHARD_LIMIT } from '../../shared/contracts/worker-call.ts';
import type { HandlerInput, JobContext } from '../jobs/handler.ts';
import { fetchBlob } from './blob-cache.ts';
import type { Order, Report, WrittenArtefact } from './computation-messages.ts';

/** The context of one order, and the list that fills as the handler registers artefacts. */
export function createContext(
  { params, inputs, scratch, configuration }: Order,
  report: (message: Report) => void,
): { context: JobContext<unknown>; artefacts: WrittenArtefact[] } {
  const artefacts: WrittenArtefact[] = [];
  const context: JobContext<unknown> = {
    params,
    configuration,
    scratch,
    input(id): HandlerInput {
      const input = inputs.find((given) => given.id === id);
      if (!input) throw new SextantError('input_not_found', `the claim carried no input ${id}`);
      return {
        manifest: input.manifest,
        blobs: input.blobs.map(({ url: _url, ...blob }) => blob),
        file(name) {
          const blob = input.blobs.find((one) => one.name === name);
          if (!blob) throw new SextantError('input_not_found', `the input ${id} has no blob '${name}'`);
          return fetchBlob(blob, configuration.cache);
        },
      };
    },
    progress: (progress) => report({ kind: 'progress', progress }),
    describeModel: (model) => report({ kind: 'model', model }),
    async artefact(name, media_type, content) {
      if (artefacts.some((other) => other.name === name)) throw new Error(`two artefacts are named '${name}'`);
      const file = content instanceof Uint8Array ? join(scratch, `artefact-${artefacts.length}`) : content.file;
      const inside = relative(scratch, file);
      if (inside.startsWith('..') || isAbsolute(inside)) throw new Error(`the artefact '${name}' lies outside scratch`);
      if (content instanceof Uint8Array) await writeFile(file, content);
      const { size } = await stat(file);
      if (size > SHARD_LIMIT)
        throw new Error(`the artefact '${name}' has ${size} bytes; write shards of at most ${SHARD_LIMIT}`);
      const blob: Blob = { name, sha256: await digestOfFile(file), bytes: size, media_type };
      artefacts.push({ ...blob, file });
      return blob;
    },
  };
  return { context, artefacts };
}

async function digestOfFile(file: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}
