import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import saeTrain from '../../shared/jobs/sae.train.ts';
import { SAE_VARIANT_NAMES, saeVariant } from '../../shared/models/sae-variant-facts.ts';
import { data, hasData } from '../support/guide.ts';
import { LocalJobs } from '../support/job-context.ts';

const VARIANTS = SAE_VARIANT_NAMES.filter((name) => saeVariant(name).takes === 'sparsity');
const SPARSITIES = [0, 0.01, 0.1, 1];
const WIDTH = 128;

describe.skipIf(!hasData)('on a pretrained story model, by the settings that ship', () => {
  const jobs = new LocalJobs({ threads: 2, models: { stories: data('models', 'stories260K-hf') } });
  afterAll(() => jobs.close());

  it('codes become fewer as the coefficient of a penalty grows, for every variant that has one', async () => {
    const texts = JSON.parse(readFileSync(data('text', 'tinystories', 'tinystories_1000.json'), 'utf8')) as string[];
    const corpus = join(jobs.folder, 'stories.jsonl');
    writeFileSync(corpus, texts.map((text) => JSON.stringify({ text })).join('\n'));
    (jobs.configuration.corpora as Record<string, string>).stories = corpus;
    const { result } = await jobs.run(saeTrain, {
      model: { local: 'stories' },
      corpus: { local: 'stories' },
      context: 128,
      hook: 'resid_post.2',
      saes: VARIANTS.flatMap((variant) => SPARSITIES.map((sparsity) => ({ variant, width: WIDTH, sparsity }))),
      steps: 250,
      batch: 256,
      evaluation_tokens: 2048,
      feature_dashboards: false,
    });
    for (const [i, variant] of VARIANTS.entries()) {
      const l0 = result.saes.slice(i * SPARSITIES.length, (i + 1) * SPARSITIES.length).map((sae) => sae.l0);
      const said = `${variant}: L0 ${l0.map((value) => value.toFixed(2)).join(', ')}`;
      for (let j = 1; j < l0.length; j++) {
        expect(l0[j]!, said).toBeLessThan(l0[j - 1]!);
      }
      expect(l0[0]!, said).toBeGreaterThan(WIDTH / 4);
      expect(l0.at(-1)!, said).toBeLessThan(WIDTH / 8);
    }
  });
});
