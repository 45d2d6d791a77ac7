import { describe, expect, test } from 'vitest';
import { violations } from '../../../infra/check/imports.ts';

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
  ])('%s: %s is refused', (file, source, rule) => {
    expect(rules(file, source)).toEqual([expect.stringMatching(rule)]);
  });

  test.each([
    ['edge/app.ts', "import { x } from '../shared/contracts/job.ts'; import { Hono } from 'hono';"],
    ['gpu-worker/lm/model.ts', "import { x } from '../graph/index.ts';\nimport { y } from './folder.ts';"],
    ['gpu-worker/worker/worker.ts', "import { x } from '../jobs/handler.ts'; import fs from 'node:fs';"],
    ['shared/signing/digest.ts', "import canonicalize from 'canonicalize';"],
    ['tests/edge/keys.test.ts', "import { x } from '../../edge/keys/mint.ts';"],
  ])('%s: %s is allowed', (file, source) => {
    expect(rules(file, source)).toEqual([]);
  });

  test('names the line', () => {
    expect(
      violations('edge/a.ts', "import { z } from 'zod';\n\nimport { x } from '../gpu-worker/y.ts';")[0]!.line,
    ).toBe(3);
  });
});
