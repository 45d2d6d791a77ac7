/** The API's contract as OpenAPI 3.1, made from the routes; `openapi.json` is this document, committed. */
import { PROBLEMS, type ProblemCode } from '../../shared/contracts/problem.ts';
import type { App } from '../environment.ts';
import { HEADERS, headersOf } from './contract/headers.ts';
import { operationId } from './contract/operation-ids.ts';
import { closedPlaces, componentsOf, defaultInWords, eachSchema, type Schema } from './contract/schemas.ts';

const TAGS: Readonly<Record<string, string>> = {
  activations: 'Activations of a model, inside a request',
  artefacts: 'Bytes: uploaded ones, and those that jobs leave behind',
  audit: 'Who changed what',
  ecg: 'Electrocardiograms',
  fairness: 'Audits, corrections and predictors, inside a request',
  generations: 'Text of a model, inside a request',
  inbound: 'Events from elsewhere that start runs of a recipe',
  jobs: 'Everything heavy',
  keys: 'API keys, and the keys that sign',
  models: 'Models that jobs have used or made',
  operator: 'For whoever runs the service',
  predictors: 'Registered predictors',
  recipes: 'Jobs that events start',
  reports: 'Reports of jobs',
  runs: 'Runs of recipes',
  saes: 'Sparse autoencoders and their latents',
  service: 'What the service is and can do',
  tenant: 'The tenant itself',
  usage: 'Device seconds by day and key',
  vectors: 'Directions of models, by id and by name',
  webhooks: 'Events that the service sends',
};

type Content = Record<string, { schema?: Schema }>;
type Answer = { description: string; headers?: Schema; content?: Content };
type Operation = {
  operationId?: string;
  summary?: string;
  description?: string;
  tags?: string[];
  security?: Record<string, string[]>[];
  parameters?: { name: string; in: string; schema?: Schema }[];
  requestBody?: { content: Content };
  responses: Record<string, Answer>;
};

export function openApiDocument(app: App) {
  const document = app.getOpenAPI31Document({
    openapi: '3.1.0',
    info: {
      title: 'Sextant',
      version: '1',
      description:
        'Finds, measures and corrects directions inside models. Heavy work is a job; its results are immutable published results. Errors are `application/problem+json` with a stable `code`.',
      // the library's types are of 3.0, which has no identifier
      license: { name: 'MIT', identifier: 'MIT' } as { name: string },
      contact: { name: 'The operator of this service' },
    },
    servers: [{ url: '/' }],
  });
  const operations = Object.entries((document.paths ?? {}) as Record<string, Record<string, Operation>>).flatMap(
    ([path, item]) => Object.entries(item).map(([method, operation]) => ({ path, method, operation })),
  );
  for (const { path, method, operation } of operations) {
    complete(operation, path, method);
  }
  const components = (document.components ?? {}) as {
    schemas: Record<string, Schema>;
    headers?: Schema;
    examples?: Schema;
  };
  const bodies = new Set<string>();
  for (const { operation } of operations) {
    for (const { schema } of Object.values(operation.requestBody?.content ?? {})) {
      eachSchema(schema, defaultInWords);
      componentsOf(schema, components.schemas, bodies);
    }
    for (const { content } of [
      operation.requestBody ?? {},
      ...Object.values(operation.responses),
    ] as Partial<Answer>[]) {
      for (const { schema } of Object.values(content ?? {})) {
        eachSchema(schema, closedPlaces);
      }
    }
  }
  for (const [name, schema] of Object.entries(components.schemas)) {
    eachSchema(schema, closedPlaces);
    if (bodies.has(name)) {
      eachSchema(schema, defaultInWords);
    }
  }
  components.headers = HEADERS;
  components.examples = Object.fromEntries(
    (Object.keys(PROBLEMS) as ProblemCode[]).map((code) => [code, exampleOf(code)]),
  );
  const used = new Set(operations.flatMap(({ operation }) => operation.tags ?? []));
  return { ...document, tags: [...used].sort().map((name) => ({ name, description: TAGS[name] ?? name })) };
}

/** Adds to an operation what follows from where it stands and what it answers. */
function complete(operation: Operation, path: string, method: string): void {
  const parameters = new Set((operation.parameters ?? []).map(({ name }) => name.toLowerCase()));
  operation.operationId = operationId({ path, method, paged: method === 'get' && parameters.has('cursor') });
  const [needed] = operation.security ?? [];
  const scope = needed?.bearer?.[0];
  if (needed) {
    // roles of a bearer key are said in words: tools take what stands in this list for scopes of OAuth
    operation.security = [{ bearer: [] }];
  }
  const who = scope ? `Needs a key with the scope \`${scope}\`.` : needed ? 'Needs a key.' : 'Needs no key.';
  operation.description = operation.description ? `${operation.description} ${who}` : who;
  const statuses = Object.keys(operation.responses);
  for (const [status, answer] of Object.entries(operation.responses)) {
    const names = headersOf({ statuses, parameters }, status, answer.description);
    answer.headers = Object.fromEntries(names.map((name) => [name, { $ref: `#/components/headers/${name}` }]));
  }
}

/** A problem document of this code. */
function exampleOf(code: ProblemCode) {
  const [status, title] = PROBLEMS[code];
  return {
    summary: title,
    value: {
      type: `/problems/${code}`,
      title,
      status,
      detail: title,
      instance: '/v1/jobs',
      code,
      request_id: 'req-0123456789',
    },
  };
}
