/** Pieces that route declarations are put together from. */
import { z } from '@hono/zod-openapi';
import { PROBLEMS, type ProblemCode } from '../../shared/contracts/problem.ts';
import { problemSchema } from '../../shared/contracts/problem-document.ts';
import type { Scope } from '../../shared/contracts/scope.ts';
import type { KeyPolicy } from '../keys/access-key.ts';
import { access, anonymous } from './access.ts';
import { jsonBody, type Otherwise } from './body.ts';

const problemDocument = problemSchema
  .extend({ code: z.enum(Object.keys(PROBLEMS) as [ProblemCode, ...ProblemCode[]]) })
  .openapi('Problem');
type ProblemContent = {
  'application/problem+json': { schema: typeof problemDocument; examples: Record<string, { $ref: string }> };
};

/** Problem answers by code, for a route's `responses`; codes of one status share an entry. */
export function problems(...codes: ProblemCode[]) {
  const responses: Record<string, { description: string; content: ProblemContent }> = {};
  for (const code of codes) {
    const [status, title] = PROBLEMS[code];
    const before = responses[status];
    const examples = {
      ...before?.content['application/problem+json'].examples,
      [code]: { $ref: `#/components/examples/${code}` },
    };
    responses[status] = {
      description: before ? `${before.description}; ${title} (\`${code}\`)` : `${title} (\`${code}\`)`,
      content: { 'application/problem+json': { schema: problemDocument, examples } },
    };
  }
  return responses;
}

/** A route for holders of a key with this scope (null: any key). */
export const keyed = (scope: Scope | null, policy: KeyPolicy = 'reads') => ({
  security: [{ bearer: scope === null ? [] : [scope] }],
  middleware: [access(scope, policy)],
});

/** The same for a route that takes a JSON body; `otherwise` says what takes what is larger than `limit`. */
export const keyedBody = (
  scope: Scope | null,
  policy: KeyPolicy = 'writes',
  limit?: number,
  otherwise?: Otherwise,
) => ({
  security: [{ bearer: scope === null ? [] : [scope] }],
  middleware: [access(scope, policy), jsonBody(limit, otherwise)],
});

/** A route for everybody. */
export const open = { security: [], middleware: [anonymous] };

/** Problems that a keyed route can always answer with. */
export const KEYED: readonly ProblemCode[] = ['unauthenticated', 'scope_missing', 'quota_exceeded', 'internal'];
/** Problems that a route with a JSON body can always answer with. */
export const BODY: readonly ProblemCode[] = [
  'body_malformed',
  'body_too_large',
  'media_type_unsupported',
  'validation_failed',
];

export const json = <S extends z.ZodType>(schema: S, description: string) => ({
  description,
  content: { 'application/json': { schema } },
});
export const jsonRequest = <S extends z.ZodType>(schema: S) => ({
  required: true,
  content: { 'application/json': { schema } },
});

/** A number in a query: decimal digits alone, where `Number` would also read 1e1, 0x10 and the empty text. */
export const queryInteger = (least: number, most: number) =>
  z
    .string()
    .regex(/^\d{1,16}$/, 'a whole number in decimal digits')
    .transform(Number)
    .pipe(z.number().int().min(least).max(most))
    .openapi({ type: 'integer', minimum: least, maximum: most });

/** `?limit=` and `?cursor=` of every list. */
export const pageQuery = z.strictObject({
  limit: queryInteger(1, 100).default(50),
  cursor: z.string().max(1200).optional(),
});
/** Body of a list's page, newest first. */
export const page = <S extends z.ZodType>(item: S) =>
  z.object({ data: z.array(item), next_cursor: z.string().nullable() });
