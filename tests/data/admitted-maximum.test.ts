/**
 * What is admitted can be completed: every list and every text of every job type, one after another as long as its contract
 * and the body of a request admit, through the real handler on the smallest model. Each ends in one of three ways: refused at
 * the door, ended by the handler with a typed error that is none of size, or completed with what the edge takes, by the
 * edge's own limits. `MAXIMUM_OF=sae.encode` runs one type; `MAXIMUM_TABLE=FILE` keeps how each ended. Types that answer every
 * one of ten thousand prompts, many times over, take hours and are run by name alone.
 */
import { appendFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { JOB_HANDLERS } from '../../gpu-worker/jobs/index.generated.ts';
import { computationFailure } from '../../gpu-worker/worker/computation-failure.ts';
import { JSON_LIMIT } from '../../shared/contracts/body-limit.ts';
import { progressSchema } from '../../shared/contracts/job.ts';
import {
  COMPLETION_LIMIT,
  checkpointRequestSchema,
  completeRequestSchema,
  RESULT_LIMIT,
} from '../../shared/contracts/worker-call.ts';
import { JOB_CONTRACTS } from '../../shared/jobs/index.generated.ts';
import saeTrain from '../../shared/jobs/sae.train.ts';
import { canonicalJson } from '../../shared/signing/digest.ts';
import { LocalJobs } from '../support/job-context.ts';
import { languageJobs } from '../support/language-jobs.ts';
import { type PlantedRefusal, plantedRefusal } from '../support/planted-refusal.ts';
import { type Stretch, stretched, stretchesOf } from './support/maximum.ts';
import { otherJobs } from './support/other-jobs.ts';

const only = process.env.MAXIMUM_OF;
const TYPES = Object.keys(JOB_CONTRACTS).filter((type) => only === undefined || only === type);
const TAKES_HOURS = ['refusal.repair', 'refusal.study', 'sae.evaluate'];
let planted: PlantedRefusal;
let jobs: LocalJobs;
let bases: Readonly<Record<string, Record<string, unknown>[]>>;
/** How everything ended, for those who name a file for it. */
const tell = (line: string): void => {
  if (process.env.MAXIMUM_TABLE) {
    appendFileSync(process.env.MAXIMUM_TABLE, `${line}\n`);
  }
};

beforeAll(async () => {
  planted = plantedRefusal();
  jobs = new LocalJobs({ models: { sound: planted.folder } });
  const model = { local: 'sound' };
  const [training] = languageJobs('')['sae.train']?.(model) ?? [];
  const { result } = await jobs.run(saeTrain, training ?? {});
  const sae = result.saes[0]?.id ?? '';
  const others = await otherJobs(jobs, model, sae);
  const language = languageJobs(sae);
  const of = (type: string) => [...(language[type]?.(model) ?? []), ...(others[type] ?? [])];
  bases = Object.fromEntries(TYPES.map((type) => [type, of(type)]));
}, 120_000);
afterAll(() => {
  jobs.close();
  planted.remove();
});

const sizeOf = (type: string, params: unknown): number =>
  new TextEncoder().encode(JSON.stringify({ type, params })).length;

/** The params with the stretch at its admitted length, within the body that a request may have; a text where they are refused. */
function longest(
  type: string,
  base: unknown,
  stretch: Stretch,
): { params: Record<string, unknown>; length: number } | string {
  const contract = JOB_CONTRACTS[type]!;
  let refused = 'nothing of its kind can be made up here';
  for (const repeated of [false, true]) {
    let length = stretch.most ?? JSON_LIMIT;
    let params = stretched(base, stretch, Math.min(length, 20_000), repeated);
    for (let size = sizeOf(type, params); params !== null && size > JSON_LIMIT; size = sizeOf(type, params)) {
      length = Math.floor(Math.min(length, 20_000) * (JSON_LIMIT / size) * 0.98);
      params = stretched(base, stretch, length, repeated);
    }
    if (params === null) {
      continue;
    }
    const parsed = contract.params.safeParse(params);
    if (parsed.success) {
      return { params: parsed.data as Record<string, unknown>, length };
    }
    refused = `refused at the door: ${parsed.error.issues[0]?.message}`;
  }
  return refused;
}

/** How the job ended, and what is wrong with it. */
async function ending(type: string, params: Record<string, unknown>): Promise<{ how: string; wrong: string | null }> {
  const [saved, shown, kept] = [jobs.checkpoints.length, jobs.progress.length, jobs.artefacts.length];
  const handler = await JOB_HANDLERS[type]!();
  const outcome = await handler(jobs.context(params)).catch((error: unknown) => computationFailure(error));
  for (const progress of jobs.progress.slice(shown)) {
    const { error } = progressSchema.safeParse(progress);
    if (error) {
      return { how: 'refused progress', wrong: `its progress: ${error.message}` };
    }
  }
  for (const { state, blobs } of jobs.checkpoints.slice(saved)) {
    const { error } = checkpointRequestSchema.safeParse({ state, blobs: blobs.map((blob, n) => ({ ...blob, n })) });
    if (error) {
      return { how: 'refused checkpoint', wrong: `its checkpoint: ${error.message}` };
    }
  }
  if ('code' in outcome) {
    const untyped = ['computation_crashed', 'internal'].includes(outcome.code);
    return {
      how: `ended with ${outcome.code}: ${outcome.detail.slice(0, 120)}`,
      wrong: untyped ? outcome.detail : null,
    };
  }
  const artefacts = jobs.artefacts.slice(kept).map((blob, n) => ({ ...blob, n }));
  const request = {
    input_digest: 'a'.repeat(64),
    artefacts,
    published: outcome.published,
    result: JSON.parse(JSON.stringify(outcome.result)) as Record<string, unknown>,
    metrics: JSON.parse(JSON.stringify(outcome.metrics)) as Record<string, number>,
    run: { ...outcome.run, versions: {}, wall_s: 0, peak_rss_bytes: 0 },
    models: [],
  };
  const { error } = completeRequestSchema.safeParse(request);
  const contract = JOB_CONTRACTS[type]!;
  const result = contract.result.safeParse(request.result);
  const characters = canonicalJson(result.data ?? {}).length;
  const size = JSON.stringify(request).length;
  const wrong =
    error?.message ??
    result.error?.message ??
    (characters > RESULT_LIMIT ? `a result of ${characters} characters, where ${RESULT_LIMIT} are kept` : null) ??
    (size > COMPLETION_LIMIT ? `a completion of ${size} characters, where ${COMPLETION_LIMIT} are kept` : null);
  return { how: `completed: a result of ${characters} characters, a completion of ${size}`, wrong };
}

describe.each(TYPES)('%s', (type) => {
  const skip = TAKES_HOURS.includes(type) && only !== type;
  it.skipIf(skip)(
    'completes with every list and text at its maximum, or is refused',
    { timeout: 1_800_000 },
    async () => {
      const wrong: string[] = [];
      const seen = new Set<string>();
      for (const [number, base] of bases[type]!.entries()) {
        const contract = JOB_CONTRACTS[type]!;
        const plain = await ending(type, contract.params.parse(base) as Record<string, unknown>);
        tell(`${type} as it is (${number}), ${sizeOf(type, base)} bytes: ${plain.how}`);
        if (plain.wrong) {
          wrong.push(`as it is (${number}): ${plain.wrong.slice(0, 400)}`);
        }
        // what is long already is not made longer
        if (sizeOf(type, base) > JSON_LIMIT / 3) {
          continue;
        }
        for (const stretch of stretchesOf(contract, base)) {
          const place = `${type} /${stretch.at.map((key) => (typeof key === 'number' ? '*' : key)).join('/')} (${stretch.what})`;
          if (seen.has(place)) {
            continue;
          }
          seen.add(place);
          const began = performance.now();
          const found = longest(type, base, stretch);
          const end = typeof found === 'string' ? { how: found, wrong: null } : await ending(type, found.params);
          const at = typeof found === 'string' ? '' : ` at ${found.length} of ${stretch.most ?? 'what a body holds'}`;
          const took = ((performance.now() - began) / 1000).toFixed(1);
          tell(`${place}${at}, ${took} s: ${end.how}`);
          if (end.wrong) {
            wrong.push(`${place}${at}: ${end.wrong.slice(0, 400)}`);
          }
        }
      }
      expect(seen.size).toBeGreaterThan(0);
      expect(wrong).toEqual([]);
    },
  );
});
