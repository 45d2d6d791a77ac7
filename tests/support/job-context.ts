/** A handler's surroundings on this machine's disk: artefacts are files, published results become inputs of later jobs. */
import { createHash } from 'node:crypto';
import {
  closeSync,
  copyFileSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { z } from 'zod';
import type { Handler, JobContext, JobOutcome, WorkerConfiguration } from '../../gpu-worker/jobs/handler.ts';
import { JOB_HANDLERS } from '../../gpu-worker/jobs/index.generated.ts';
import type { BlobContent, Checkpoints } from '../../gpu-worker/study/index.ts';
import type { Progress } from '../../shared/contracts/job.ts';
import type { Blob, Manifest } from '../../shared/contracts/manifest.ts';
import type { ModelDescription } from '../../shared/contracts/model.ts';
import type { JobContract } from '../../shared/jobs/contract.ts';
import { manifestId } from '../../shared/signing/digest.ts';

type Last = NonNullable<Checkpoints['last']>;

function digestOfFile(path: string): string {
  const hash = createHash('sha256');
  const piece = new Uint8Array(2 ** 20);
  const file = openSync(path, 'r');
  try {
    for (let count = readSync(file, piece); count > 0; count = readSync(file, piece)) {
      hash.update(piece.subarray(0, count));
    }
  } finally {
    closeSync(file);
  }
  return hash.digest('hex');
}

export class LocalJobs {
  readonly folder = mkdtempSync(join(tmpdir(), 'sextant-jobs-'));
  readonly configuration: WorkerConfiguration;
  readonly progress: Progress[] = [];
  /** Takes what generations tell on the way. */
  tellTokens: JobContext<unknown>['tellTokens'] = null;
  readonly described: ModelDescription[] = [];
  readonly published = new Map<string, Manifest>();
  /** Every checkpoint that a job saved, in order; each can be given to another run. */
  readonly checkpoints: Last[] = [];
  /** What jobs registered, in order. */
  readonly artefacts: Blob[] = [];
  readonly #uploads = new Map<string, Blob>();
  #runs = 0;

  constructor(configuration: Partial<WorkerConfiguration> = {}) {
    this.configuration = {
      device: 'cpu',
      threads: 1,
      models: {},
      corpora: {},
      hubs: {},
      cache: join(this.folder, 'cache'),
      memory_limit_bytes: 4e9,
      ...configuration,
    };
  }

  #pathOf = (digest: string): string => join(this.folder, digest);

  /** The content of a blob that a job registered. */
  read = (blob: Blob): Buffer => readFileSync(this.#pathOf(blob.sha256));

  #store(name: string, media_type: string, content: BlobContent): Blob {
    if ('sha256' in content) {
      return { ...content, name, media_type };
    }
    if (!(content instanceof Uint8Array)) {
      // In pieces: benches take a job's peak memory.
      const sha256 = digestOfFile(content.file);
      copyFileSync(content.file, this.#pathOf(sha256));
      return { name, sha256, bytes: statSync(content.file).size, media_type };
    }
    const sha256 = createHash('sha256').update(content).digest('hex');
    writeFileSync(this.#pathOf(sha256), content);
    return { name, sha256, bytes: content.length, media_type };
  }

  /** An uploaded artefact, by the id that params name it with. */
  upload(name: string, content: Uint8Array): string {
    const id = `art_${'a'.repeat(24)}${String.fromCharCode(97 + Math.floor(this.#uploads.size / 26), 97 + (this.#uploads.size % 26))}`;
    this.#uploads.set(id, this.#store(name, 'application/octet-stream', content));
    return id;
  }

  #checkpoint(last: Last | null): Checkpoints {
    return {
      last,
      urgent: false,
      save: async (state, parts) => {
        const blobs = parts.map(({ name, content }) => this.#store(name, 'application/octet-stream', content));
        const file = async (name: string) => this.#pathOf(blobs.find((blob) => blob.name === name)!.sha256);
        this.checkpoints.push({ state: JSON.parse(JSON.stringify(state)), blobs, file });
        return true;
      },
    };
  }

  /** The surroundings of one attempt. */
  context<P>(params: P, last: Last | null = null): JobContext<P> {
    const scratch = mkdtempSync(join(this.folder, `attempt-${this.#runs++}-`));
    return {
      params,
      configuration: this.configuration,
      scratch,
      memory: `${scratch}-memory`,
      input: (id) => {
        const manifest = this.published.get(id) ?? null;
        const upload = this.#uploads.get(id);
        const blobs = manifest?.blobs ?? (upload && [upload]);
        if (!blobs) {
          throw new Error(`no published result or artefact ${id}`);
        }
        const file = async (name: string) => this.#pathOf(blobs.find((blob) => blob.name === name)!.sha256);
        return { manifest, blobs, file };
      },
      progress: (progress) => this.progress.push(progress),
      tellTokens: this.tellTokens,
      describeModel: (description) => this.described.push(description),
      artefact: async (name, media_type, content) => {
        const blob = this.#store(name, media_type, content);
        this.artefacts.push(blob);
        return blob;
      },
      checkpoint: this.#checkpoint(last),
    };
  }

  /** Runs a job as the worker does: defaults applied, the result checked against its contract, results published. */
  async run<P extends z.ZodType, R extends z.ZodType>(
    contract: JobContract<P, R>,
    params: Record<string, unknown>,
    last: Last | null = null,
  ): Promise<JobOutcome<z.output<R>>> {
    const handler = (await JOB_HANDLERS[contract.type]!()) as Handler<z.output<P>, z.output<R>>;
    const outcome = await handler(this.context(contract.params.parse(params), last));
    contract.result.parse(JSON.parse(JSON.stringify(outcome.result)));
    for (const manifest of outcome.published) {
      this.published.set(await manifestId(manifest), manifest);
    }
    return outcome;
  }

  close(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
