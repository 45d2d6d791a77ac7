import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { PlantedLanguage } from '../../../../gpu-worker/lm/corpus/planted/language.ts';
import { type LanguageModel, loadModel } from '../../../../gpu-worker/lm/inference/model.ts';
import { ActivationSource } from '../../../../gpu-worker/sae/training/activation-source.ts';
import { saeConfiguration } from '../../../../gpu-worker/sae/training/configuration.ts';
import { ModelBlocks } from '../../../../gpu-worker/sae/training/model-blocks.ts';
import { type SweepMember, type SweepOptions, trainSweep } from '../../../../gpu-worker/sae/training/sweep.ts';
import { type SweepCheckpoint, SweepFiles } from '../../../../gpu-worker/sae/training/sweep-checkpoint.ts';
import { savePlantedModel } from '../../../support/planted-model.ts';

const bytes = (values: Float32Array | null): string =>
  Buffer.from(new Uint8Array(values?.slice().buffer ?? [])).toString('base64');
const HOOK = 'resid_post.0';
const [ROWS, STEPS] = [64, 40];

describe('a sweep', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sextant-sweep-'));
  let model: LanguageModel;
  const language = new PlantedLanguage(0);

  beforeAll(async () => {
    await savePlantedModel(join(folder, 'model'), { steps: 8, width: 16 });
    model = await loadModel(join(folder, 'model'), { threads: 1 });
  }, 60_000);
  afterAll(async () => {
    await model.release();
    rmSync(folder, { recursive: true });
  });

  type Change = Partial<ConstructorParameters<typeof ModelBlocks>[0] & { normCap: number | null }>;
  const source = ({ normCap = 10, ...change }: Change = {}) =>
    new ActivationSource({
      reader: new ModelBlocks({
        model,
        hook: HOOK,
        async *sequences() {
          for (const { ids } of language.documents('train', 20)) {
            yield ids;
          }
        },
        block: 16,
        pass: 8,
        ...change,
      }),
      rows: ROWS,
      seed: 1,
      normCap,
    });
  const schedule = { rate: 3e-3, steps: STEPS, warmupSteps: 5, decayFraction: 0.2 };
  const member = (variant: 'abstopk' | 'jumprelu' | 'batch_topk', seed: number): SweepMember => ({
    configuration: saeConfiguration({
      variant,
      inputs: 16,
      width: 40,
      k: 3,
      deadTokens: 4 * ROWS,
      bandwidth: 0.1,
      threshold: 0.05,
    }),
    schedule,
    seed,
  });
  const members = [member('abstopk', 0), member('abstopk', 1), member('jumprelu', 0), member('batch_topk', 0)];
  const options = (more: Partial<SweepOptions> = {}): SweepOptions => ({
    source: source(),
    members,
    steps: STEPS,
    batch: ROWS,
    threads: 1,
    provider: 'cpu',
    scaling: 'unit',
    centre: 'geometric_median',
    ...more,
  });

  /** Keeps the state after the first save and then dies. */
  class Interrupted extends SweepFiles {
    override due = (): boolean => true;
    override async save(checkpoint: SweepCheckpoint): Promise<void> {
      await super.save(checkpoint);
      if (checkpoint.step >= 16) {
        throw new Error('killed');
      }
    }
  }

  it('that was killed continues exactly', async () => {
    const whole = await trainSweep(options());
    const files = join(folder, 'checkpoint');
    await expect(trainSweep(options({ files: new Interrupted(files) }))).rejects.toThrow('killed');
    const rest = await trainSweep(options({ files: new SweepFiles(files) }));
    expect(rest.firstStep).toBe(16);
    expect(rest.scale).toBe(whole.scale);
    for (const [i, { parameters, last, deadShare }] of rest.members.entries()) {
      const expected = whole.members[i]!;
      expect(last).toEqual(expected.last);
      expect(deadShare).toBe(expected.deadShare);
      for (const name of ['encoder', 'encoderBias', 'decoder', 'decoderBias', 'threshold'] as const) {
        expect(bytes(parameters[name]), name).toBe(bytes(expected.parameters[name]));
      }
    }
  });

  it('starts its batches anywhere in the stream without replaying it', async () => {
    const all = [];
    for await (const batch of source().batches()) {
      all.push(batch);
      if (all.length === 12) {
        break;
      }
    }
    for (const from of [3, 7, 10]) {
      for await (const { x } of source().batches(all[from]!.next)) {
        expect(x).toEqual(all[from + 1]!.x);
        break;
      }
    }
  });

  it('reads every block once, the one it first looked at included', async () => {
    const forward = vi.spyOn(model, 'forward');
    const passes = async (work: () => Promise<unknown>) => {
      forward.mockClear();
      await work();
      return forward.mock.calls.length;
    };
    const reading = await passes(async () => {
      let batches = 0;
      for await (const _ of source().batches()) {
        if (++batches === STEPS) {
          break;
        }
      }
    });
    const training = await passes(() => trainSweep(options({ members: members.slice(0, 1) })));
    forward.mockRestore();
    expect(training).toBe(reading);
  });

  it('refuses activations that do not vary, and text that does not fill a batch', async () => {
    const constant = source({
      async *sequences() {
        for (;;) {
          yield [7];
        }
      },
      block: 80,
    });
    await expect(trainSweep(options({ source: constant }))).rejects.toMatchObject({ code: 'data_invalid' });
    const short = source({ block: 2 });
    await expect(trainSweep(options({ source: short }))).rejects.toMatchObject({ code: 'data_invalid' });
    const empty = source({ async *sequences() {} });
    await expect(trainSweep(options({ source: empty }))).rejects.toThrow(/no tokens/);
  });

  it('never ends well with numbers that are not', async () => {
    const wild = { ...member('abstopk', 0), schedule: { ...schedule, rate: 1e38, warmupSteps: 0 } };
    await expect(trainSweep(options({ members: [wild] }))).rejects.toMatchObject({ code: 'not_finite' });
  });

  it('leaves out tokens of huge norm', async () => {
    const norms = async (normCap: number | null) => {
      const sample = await source({ normCap }).sample();
      return Array.from({ length: sample.length / 16 }, (_, i) => Math.hypot(...sample.subarray(16 * i, 16 * i + 16)));
    };
    const all = (await norms(null)).sort((a, b) => a - b);
    const median = all[Math.floor(all.length / 2)]!;
    const kept = await norms(1.2);
    expect(kept).toHaveLength(all.filter((norm) => norm <= 1.2 * median).length);
    expect(kept.length).toBeLessThan(all.length);
  });
});
