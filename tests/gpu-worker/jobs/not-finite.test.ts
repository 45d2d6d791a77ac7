/** A weight that is no number ends every job that runs a model with `not_finite`, at the first hook point where it shows. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { JOB_HANDLERS } from '../../../gpu-worker/jobs/index.generated.ts';
import { computationFailure } from '../../../gpu-worker/worker/computation-failure.ts';
import { headerLength, parseHeader } from '../../../shared/formats/safetensors-header.ts';
import { JOB_CONTRACTS } from '../../../shared/jobs/index.generated.ts';
import saeTrain from '../../../shared/jobs/sae.train.ts';
import { LocalJobs } from '../../support/job-context.ts';
import { languageJobs } from '../../support/language-jobs.ts';
import { type PlantedRefusal, plantedRefusal } from '../../support/planted-refusal.ts';

const models: Record<string, string> = {};
const jobs = new LocalJobs({ models });
const planted: PlantedRefusal[] = [];
let sae = '';

/** A model whose first MLP gives NaN, or infinities, wherever a token goes through it. */
function broken(name: string, value: number): void {
  const own = plantedRefusal();
  planted.push(own);
  const file = join(own.folder, 'model.safetensors');
  const bytes = readFileSync(file);
  const header = parseHeader(bytes.subarray(8, 8 + headerLength(bytes, bytes.length)), bytes.length);
  const { begin, end } = header.tensors.get('model.layers.1.mlp.down_proj.weight') ?? expect.fail('no such weight');
  for (let at = begin; at < end; at += 4) {
    bytes.writeFloatLE(value, at);
  }
  writeFileSync(file, bytes);
  models[name] = own.folder;
}

/** These run no language model. */
const OTHERS = /^(diagnostics\.run|ecg\.|fairness\.|model\.import|sae\.import)/;

beforeAll(async () => {
  const sound = plantedRefusal();
  planted.push(sound);
  models.sound = sound.folder;
  broken('nan', Number.NaN);
  broken('infinite', Number.POSITIVE_INFINITY);
  const [params] = languageJobs('')['sae.train']?.({ local: 'sound' }) ?? [];
  const { result } = await jobs.run(saeTrain, params ?? {});
  sae = result.saes[0]?.id ?? '';
});
afterAll(() => {
  jobs.close();
  for (const { remove } of planted) {
    remove();
  }
});

it('covers every type that runs a model', () => {
  expect(
    Object.keys(JOB_CONTRACTS)
      .filter((type) => !OTHERS.test(type))
      .sort(),
  ).toEqual(Object.keys(languageJobs('')).sort());
});

it.each(Object.keys(languageJobs('')))('%s names the hook point and the layer, in one attempt', async (type) => {
  for (const local of ['nan', 'infinite']) {
    for (const asked of languageJobs(sae)[type]?.({ local }) ?? []) {
      const what = `${type} of ${JSON.stringify(asked).slice(0, 300)}`;
      const params = JOB_CONTRACTS[type]?.params.parse(asked);
      const handler = await JOB_HANDLERS[type]?.();
      const failed = await handler?.(jobs.context(params)).then(
        () => null,
        (error: unknown) => computationFailure(error),
      );
      expect(failed, what).toMatchObject({ code: 'not_finite', retryable: false });
      expect(failed?.detail, what).toMatch(/'mlp_out\.1', in layer 1/);
    }
  }
});
