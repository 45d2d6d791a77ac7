/** The contract. */
import type { App } from '../environment.ts';
import { anonymous } from '../http/access.ts';
import { openApiDocument } from '../http/openapi.ts';

export default function registerOpenApi(app: App): void {
  // made once, at the first request: all routes are registered by then
  let text: string | undefined;
  app.get('/openapi.json', anonymous, (c) => {
    text ??= JSON.stringify(openApiDocument(app));
    return c.body(text, 200, { 'content-type': 'application/json', 'cache-control': 'public, max-age=300' });
  });
}
