/** The HTTP surface: what every request passes through, and the routes. */
import { OpenAPIHono } from '@hono/zod-openapi';
import type { App, AppEnv } from './environment.ts';
import { cors } from './http/cors.ts';
import { decodable, envelope } from './http/envelope.ts';
import { answerUnrouted } from './http/no-route.ts';
import { problemAnswer, refuseMisfit } from './http/problem.ts';
import { ROUTES } from './routes/index.generated.ts';

export function createApp(): App {
  const app: App = new OpenAPIHono<AppEnv>({ defaultHook: refuseMisfit });
  app.openAPIRegistry.registerComponent('securitySchemes', 'bearer', {
    type: 'http',
    scheme: 'bearer',
    description: 'an API key',
  });
  app.use(envelope);
  app.use(cors);
  app.use(decodable);
  app.onError(problemAnswer);
  app.notFound((c) => answerUnrouted(app.routes, c));
  for (const register of ROUTES) {
    register(app);
  }
  return app;
}
