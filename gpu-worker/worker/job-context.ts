/** What a handler sees of its surroundings: files in and out, and a way to speak to the worker process. */
import type { RunReport } from '../../shared/contracts/job.ts';
import { SextantError } from '../../shared/contracts/problem.ts';
import { CHECKPOINT_STATE_LIMIT, type Claim } from '../../shared/contracts/worker-call.ts';
import type { HandlerInput, JobContext } from '../jobs/handler.ts';
import type { Standing } from '../jobs/standing.ts';
import type { Checkpoints } from '../study/index.ts';
import { fetchBlob } from './blob-cache.ts';
import type { CheckpointLine } from './checkpoint-line.ts';
import type { Order, Report, WrittenArtefact } from './computation-messages.ts';
import { JobFiles } from './job-files.ts';

type RemoteBlobs = NonNullable<Claim['checkpoint']>['blobs'];

/** The context of one order, and the lists that fill as the handler registers artefacts and opens quantised models. */
export function createContext(
  { params, inputs, checkpoint, owner, followed, scratch, memory, configuration }: Order,
  report: (message: Report) => void,
  line: Pick<CheckpointLine, 'send' | 'urgent'>,
  { standing, stopping }: { standing: Standing; stopping: AbortSignal },
): {
  context: JobContext<unknown>;
  artefacts: WrittenArtefact[];
  quantised: NonNullable<RunReport['quantised_models']>;
} {
  const quantised: NonNullable<RunReport['quantised_models']> = [];
  const artefacts: WrittenArtefact[] = [];
  const files = new JobFiles(scratch, checkpoint?.blobs ?? []);
  const remote = (blobs: RemoteBlobs, of: string): Pick<HandlerInput, 'blobs' | 'file'> => ({
    blobs: blobs.map(({ url: _url, ...blob }) => blob),
    file(name) {
      const blob = blobs.find((one) => one.name === name);
      if (!blob) {
        throw new SextantError('input_not_found', `${of} has no blob '${name}'`);
      }
      return fetchBlob(blob, configuration.cache);
    },
  });
  const checkpoints: Checkpoints = {
    last: checkpoint && { state: checkpoint.state, ...remote(checkpoint.blobs, 'the checkpoint') },
    get urgent() {
      return line.urgent;
    },
    async save(state, parts) {
      const length = JSON.stringify(state).length;
      if (length > CHECKPOINT_STATE_LIMIT) {
        throw new Error(`a checkpoint's state of ${length} characters; put what is large into parts`);
      }
      const blobs: WrittenArtefact[] = [];
      for (const { name, content } of parts) {
        blobs.push(await files.store(name, 'application/octet-stream', content));
      }
      return line.send({ state, blobs });
    },
  };
  const context: JobContext<unknown> = {
    params,
    configuration,
    scratch,
    memory,
    standing,
    owner,
    stopping,
    input(id): HandlerInput {
      const input = inputs.find((given) => given.id === id);
      if (!input) {
        throw new SextantError('input_not_found', `the claim carried no input ${id}`);
      }
      return { manifest: input.manifest, ...remote(input.blobs, `the input ${id}`) };
    },
    progress: (progress) => report({ kind: 'progress', progress }),
    tellTokens: followed ? (piece) => report({ kind: 'tokens', piece }) : null,
    describeModel(model) {
      const known = quantised.some(({ model: key }) => key === model.key);
      const storage = model.task === 'language' ? model.storage : null;
      if (storage && !known) {
        quantised.push({ model: model.key, storage });
      }
      report({ kind: 'model', model });
    },
    async artefact(name, media_type, content) {
      if (artefacts.some((other) => other.name === name)) {
        throw new Error(`two artefacts are named '${name}'`);
      }
      const { file, ...blob } = await files.store(name, media_type, content);
      artefacts.push({ ...blob, file });
      return blob;
    },
    checkpoint: checkpoints,
  };
  return { context, artefacts, quantised };
}
