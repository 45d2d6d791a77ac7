/** The API's contract as OpenAPI 3.1, made from the routes; `openapi.json` is this document, committed. */
import type { App } from '../environment.ts';

export const openApiDocument = (app: App) =>
  app.getOpenAPI31Document({
    openapi: '3.1.0',
    info: {
      title: 'Sextant',
      version: '1',
      description:
        'Finds, measures and corrects directions inside models. Heavy work is a job; its results are immutable published results. Errors are `application/problem+json` with a stable `code`.',
      license: { name: 'MIT' },
    },
    servers: [{ url: '/' }],
  });
