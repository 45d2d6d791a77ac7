/** What the `type` of a problem leads to. */
import { createRoute, z } from '@hono/zod-openapi';
import { problemTypeSchema } from '../../shared/contracts/capabilities.ts';
import { PROBLEMS, type ProblemCode, SextantError } from '../../shared/contracts/problem.ts';
import type { App } from '../environment.ts';
import { json, open, problems } from '../http/declaration.ts';

const read = createRoute({
  ...open,
  method: 'get',
  path: '/problems/{code}',
  tags: ['service'],
  summary: 'What a problem code means',
  request: { params: z.object({ code: z.string() }) },
  responses: {
    200: json(problemTypeSchema.openapi('ProblemType'), 'The code, its status and its title'),
    ...problems('not_found'),
  },
});

export default function registerProblems(app: App): void {
  app.openapi(read, (c) => {
    const { code } = c.req.valid('param');
    if (!Object.hasOwn(PROBLEMS, code)) {
      throw new SextantError('not_found', `there is no problem code ${code}`);
    }
    const [status, title] = PROBLEMS[code as ProblemCode];
    return c.json({ code, status, title }, 200);
  });
}
