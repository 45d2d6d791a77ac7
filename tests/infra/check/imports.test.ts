import { describe, expect, test } from 'vitest';
import { refusedCircles, violations } from '../../../infra/check/imports.ts';

const rules = (file: string, source: string) => violations(file, source).map(({ rule }) => rule);

describe('the import rule', () => {
  test.each([
    ['edge/app.ts', "import { x } from '../gpu-worker/lm/model.ts';", /edge\/ never imports gpu-worker/],
    ['gpu-worker/worker/worker.ts', "import { x } from '../../edge/app.ts';", /gpu-worker\/ never imports edge/],
    ['shared/math/matrix.ts', "import { x } from '../../edge/app.ts';", /shared\/ never imports edge/],
    ['shared/math/matrix.ts', "import { readFileSync } from 'node:fs';", /pure packages/],
    ['shared/math/matrix.ts', "export * from 'hono';", /pure packages/],
    ['edge/app.ts', "import { x } from '../infra/dev/start.ts';", /edge\/ never imports infra/],
    ['gpu-worker/graph/compile.ts', "import { Session } from '../runtime/session.ts';", /never imports a later layer/],
    ['gpu-worker/lm/model.ts', "import type { X } from '../sae/fit.ts';", /never imports a later layer/],
    ['gpu-worker/sae/fit.ts', "const x = await import('../jobs/handler.ts');", /never imports a later layer/],
    ['gpu-worker/ecg/filter.ts', "import { x } from '../fairness/network.ts';", /fields of study/],
    ['infra/dev/start.ts', "import { x } from '../../tests/support/guide.ts';", /infra never imports tests/],
    ['edge/http/access.ts', "import { x } from '../idempotency/once.ts';", /layer http never imports a later layer/],
    ['edge/environment.ts', "import type { Ledger } from './jobs/ledger.ts';", /layer environment never imports/],
    ['edge/workers/access.ts', "import type { Held } from '../jobs/held.ts';", /layer workers never imports/],
    ['edge/webhooks/delivery.ts', "import type { JobState } from '../jobs/state.ts';", /layer webhooks never imports/],
    ['edge/jobs/publish.ts', "import { x } from '../routes/jobs.ts';", /layer jobs never imports a later layer/],
    ['edge/inbound/runs.ts', "import { x } from '../routes/jobs.ts';", /layer inbound never imports a later layer/],
    ['edge/routes/jobs.ts', "import type { App } from '../app.ts';", /layer routes never imports a later layer/],
    ['edge/routes/jobs.ts', "import { x } from '../scratch/x.ts';", /outside the layers/],
    ['edge/client/index.ts', "import { x } from '../http/pages.ts';", /edge\/client imports shared\/ alone/],
    ['edge/routes/jobs.ts', "import { x } from '../client/index.ts';", /nothing of the edge imports its client/],
    ['edge/ui/view.ts', "import { x } from '../http/pages.ts';", /edge\/ui imports shared\/ and the client alone/],
    ['edge/routes/site.ts', "import { x } from '../ui/main.ts';", /nothing of the edge imports the browser page/],
    ['shared/contracts/job.ts', "import { x } from '../signing/digest.ts';", /layer contracts never imports/],
    ['shared/models/hooks.ts', "import { x } from '../fairness/moments.ts';", /layer models never imports/],
    ['shared/fairness/costs.ts', "import { x } from '../jobs/contract.ts';", /layer fairness never imports/],
  ])('%s: %s is refused', (file, source, rule) => {
    expect(rules(file, source)).toEqual([expect.stringMatching(rule)]);
  });

  test.each([
    ['edge/app.ts', "import { x } from '../shared/contracts/job.ts'; import { Hono } from 'hono';"],
    ['gpu-worker/lm/model.ts', "import { x } from '../graph/index.ts';\nimport { y } from './folder.ts';"],
    ['gpu-worker/worker/worker.ts', "import { x } from '../jobs/handler.ts'; import fs from 'node:fs';"],
    ['shared/signing/digest.ts', "import canonicalize from 'canonicalize';"],
    ['tests/edge/keys.test.ts', "import { x } from '../../edge/keys/mint.ts';"],
    ['edge/client/call.ts', "import { x } from '../../shared/contracts/job.ts'; import { y } from './page.ts';"],
    ['edge/ui/view.ts', "import { x } from '../client/index.ts'; import { y } from '../../shared/math/sum.ts';"],
    ['edge/environment.ts', "import type { AccessKey } from './keys/access-key.ts';"],
    ['edge/index.ts', "import { createApp } from './app.ts'; export { Ledger } from './jobs/ledger.ts';"],
    ['shared/jobs/sae.train.ts', "import { x } from '../fairness/costs.ts'; import { y } from './contract.ts';"],
  ])('%s: %s is allowed', (file, source) => {
    expect(rules(file, source)).toEqual([]);
  });

  test('names the line', () => {
    expect(
      violations('edge/a.ts', "import { z } from 'zod';\n\nimport { x } from '../gpu-worker/y.ts';")[0]!.line,
    ).toBe(3);
  });
});

describe('a folder with an index', () => {
  const indexed = new Set(['gpu-worker/lm', 'gpu-worker/lm/corpus', 'edge']);
  const past = (file: string, target: string) => violations(file, `import { x } from '${target}';`, indexed);

  test.each([
    ['gpu-worker/sae/fit.ts', '../lm/weights/folder.ts', 'gpu-worker/lm'],
    ['gpu-worker/lm/training/make-trainer.ts', '../corpus/reading.ts', 'gpu-worker/lm/corpus'],
    ['infra/dev/start.ts', '../../gpu-worker/lm/model.ts', 'gpu-worker/lm'],
  ])('%s: %s is refused', (file, target, folder) => {
    expect(past(file, target)).toEqual([
      expect.objectContaining({ rule: `${folder} is imported through its index.ts` }),
    ]);
  });

  test.each([
    ['gpu-worker/sae/fit.ts', '../lm/index.ts'],
    ['gpu-worker/lm/training/make-trainer.ts', '../weights/folder.ts'],
    ['gpu-worker/lm/corpus/reading.ts', './lines.ts'],
    ['tests/gpu-worker/lm/folder.test.ts', '../../../gpu-worker/lm/weights/folder.ts'],
    // the entry of the Worker is no interface of its folder
    ['infra/operator/mint.ts', '../../edge/keys/mint.ts'],
  ])('%s: %s is allowed', (file, target) => {
    expect(past(file, target)).toEqual([]);
  });
});

describe('circles', () => {
  const files = (texts: Record<string, string>) => new Map(Object.entries(texts));

  test('are refused, whether of types or around corners', () => {
    const texts = files({
      'shared/math/a.ts': "import type { B } from './b.ts';",
      'shared/math/b.ts': "export { c } from './c.ts';\nimport { d } from './d.ts';",
      'shared/math/c.ts': "const a = await import('./a.ts');",
      'shared/math/d.ts': "import { z } from 'zod';",
      'shared/math/e.ts': "import { a } from './a.ts';",
    });
    expect(refusedCircles(texts)).toEqual([['shared/math/a.ts', 'shared/math/b.ts', 'shared/math/c.ts']]);
  });

  test('are told apart', () => {
    const pair = (folder: string) => ({
      [`${folder}/a.ts`]: "import { b } from './b.ts';",
      [`${folder}/b.ts`]: "import { a } from './a.ts';",
    });
    expect(refusedCircles(files({ ...pair('edge/http'), ...pair('shared/math') }))).toHaveLength(2);
  });

  test('of operators alone are allowed', () => {
    const operators = {
      'gpu-worker/graph/operators/matmul.ts': "import { sum } from './reductions.ts';",
      'gpu-worker/graph/operators/reductions.ts': "import { matmul } from './matmul.ts';",
    };
    expect(refusedCircles(files(operators))).toEqual([]);
    const wider = {
      ...operators,
      'gpu-worker/graph/operators/matmul.ts': "import { sum } from './reductions.ts'; import { x } from '../core.ts';",
      'gpu-worker/graph/core.ts': "import { matmul } from './operators/matmul.ts';",
    };
    expect(refusedCircles(files(wider))).toHaveLength(1);
  });
});
