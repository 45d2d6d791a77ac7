/** The contract as the fuzzer reads it: operations, the schemas of their parts, and what an answer has to be. */
import { z } from 'zod';
import contract from '../../../../openapi.json' with { type: 'json' };
import { PROBLEMS } from '../../../../shared/contracts/problem.ts';
import { problemSchema } from '../../../../shared/contracts/problem-document.ts';

export type Schema = { [key: string]: unknown };
type Part = { in: 'path' | 'query' | 'header'; name: string; required?: boolean; schema: Schema };
type Content = Record<string, { schema?: Schema }>;
export type Operation = {
  name: string;
  method: string;
  path: string;
  secured: boolean;
  parameters: readonly Part[];
  body: Schema | null;
  answers: Readonly<Record<string, { content?: Content }>>;
};
type Declared = {
  security?: unknown[];
  parameters?: Part[];
  requestBody?: { content?: Content };
  responses: Record<string, { content?: Content }>;
};

const METHODS = new Set(['get', 'post', 'put', 'patch', 'delete']);
export const OPERATIONS: readonly Operation[] = Object.entries(
  contract.paths as unknown as Record<string, Record<string, Declared>>,
).flatMap(([path, item]) =>
  Object.entries(item)
    .filter(([method]) => METHODS.has(method))
    .map(([method, declared]) => ({
      name: `${method.toUpperCase()} ${path}`,
      method: method.toUpperCase(),
      path,
      secured: (declared.security ?? []).length > 0,
      parameters: declared.parameters ?? [],
      body: declared.requestBody?.content?.['application/json']?.schema ?? null,
      answers: declared.responses,
    })),
);

const COMPONENTS = contract.components.schemas as unknown as Record<string, Schema>;
/** What a `$ref` points at. */
export const resolved = (schema: Schema): Schema =>
  typeof schema.$ref === 'string' ? (COMPONENTS[schema.$ref.split('/').at(-1)!] ?? {}) : schema;

const inlined = (value: unknown, depth = 0): unknown => {
  if (Array.isArray(value)) {
    return value.map((one) => inlined(one, depth));
  }
  if (typeof value !== 'object' || value === null) {
    return value;
  }
  if ('$ref' in value) {
    return depth > 6 ? {} : inlined(resolved(value as Schema), depth + 1);
  }
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, inlined(one, depth)]));
};
const checks = new Map<string, z.ZodType>();
function checkOf(key: string, schema: Schema): z.ZodType {
  const known = checks.get(key);
  if (known) {
    return known;
  }
  const made = z.fromJSONSchema(inlined(schema) as never) as z.ZodType;
  checks.set(key, made);
  return made;
}

/** What is wrong with an answer; null for one that keeps the contract. */
export function faultOf(operation: Operation, status: number, type: string, text: string): string | null {
  if (status >= 500) {
    return `answers ${status}: ${text.slice(0, 300)}`;
  }
  const media = type.split(';')[0]!.trim();
  if (status >= 400) {
    return errorFault(operation, status, media, text);
  }
  const declared = operation.answers[status];
  if (!declared) {
    return `answers ${status}, which the contract does not name`;
  }
  const schema = declared.content?.[media]?.schema;
  if (!schema || media !== 'application/json' || text === '') {
    return null;
  }
  const found = checkOf(`${operation.name} ${status}`, schema).safeParse(JSON.parse(text));
  return found.success ? null : `answers ${status} with what its schema refuses: ${found.error.message.slice(0, 500)}`;
}

function errorFault({ path }: Operation, status: number, media: string, text: string): string | null {
  if (path.endsWith('/completions')) {
    const { error } = JSON.parse(text) as { error?: { code?: unknown; message?: unknown } };
    return typeof error?.code === 'string' && typeof error.message === 'string'
      ? null
      : `an error in no shape: ${text}`;
  }
  if (media !== 'application/problem+json') {
    return `answers ${status} as ${media}: ${text.slice(0, 200)}`;
  }
  const problem = problemSchema.safeParse(JSON.parse(text));
  if (!problem.success) {
    return `answers ${status} with no problem document: ${text.slice(0, 300)}`;
  }
  const { code } = problem.data;
  if (!Object.hasOwn(PROBLEMS, code) || problem.data.status !== status) {
    return `answers ${status} with the code ${code}`;
  }
  return /\bat .*\.(ts|js):\d+|\/(home|root|work|tmp)\//.test(text)
    ? `shows a trace or a path: ${text.slice(0, 300)}`
    : null;
}
