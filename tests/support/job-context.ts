/** A handler's surroundings on this machine's disk: artefacts are files, published things become inputs of later jobs. */
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { JobContext, JobOutcome, WorkerConfiguration } from '../../gpu-worker/jobs/handler.ts';
import { JOB_HANDLERS } from '../../gpu-worker/jobs/index.generated.ts';
import type { Progress } from '../../shared/contracts/job.ts';
import type { ModelDescription } from '../../shared/contracts/model.ts';
import type { Blob, Manifest } from '../../shared/contracts/thing.ts';
import { JOB_CONTRACTS } from '../../shared/jobs/index.generated.ts';
import { manifestId } from '../../shared/signing/digest.ts';

export class LocalJobs {
  readonly folder = mkdtempSync(join(tmpdir(), 'sextant-jobs-'));
  readonly configuration: WorkerConfiguration;
  readonly progress: Progress[] = [];
  readonly described: ModelDescription[] = [];
  readonly things = new Map<string, Manifest>();
  private runs = 0;

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

  private pathOf = (digest: string): string => join(this.folder, digest);

  /** The content of a blob that a job registered. */
  read = (blob: Blob): Buffer => readFileSync(this.pathOf(blob.sha256));

  private context(params: unknown): JobContext<unknown> {
    const scratch = mkdtempSync(join(this.folder, `attempt-${this.runs++}-`));
    return {
      params,
      configuration: this.configuration,
      scratch,
      input: (id) => {
        const manifest = this.things.get(id);
        if (!manifest) throw new Error(`no thing ${id}`);
        return {
          manifest,
          blobs: manifest.blobs,
          file: async (name) => this.pathOf(manifest.blobs.find((blob) => blob.name === name)!.sha256),
        };
      },
      progress: (progress) => this.progress.push(progress),
      describeModel: (description) => this.described.push(description),
      artefact: async (name, media_type, content) => {
        const bytes = content instanceof Uint8Array ? content : readFileSync(content.file);
        const sha256 = createHash('sha256').update(bytes).digest('hex');
        writeFileSync(this.pathOf(sha256), bytes);
        return { name, sha256, bytes: bytes.length, media_type };
      },
    };
  }

  /** Runs a job as the worker does: defaults applied, the result checked against its contract, things published. */
  async run(type: string, params: Record<string, unknown>): Promise<JobOutcome<Record<string, unknown>>> {
    const contract = JOB_CONTRACTS[type]!;
    const handler = await JOB_HANDLERS[type]!();
    const outcome = await handler(this.context(contract.params.parse(params)));
    contract.result.parse(JSON.parse(JSON.stringify(outcome.result)));
    for (const manifest of outcome.things) this.things.set(await manifestId(manifest), manifest);
    return outcome as JobOutcome<Record<string, unknown>>;
  }

  close(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
