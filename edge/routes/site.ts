/** Documentation and the browser page: static assets, behind every route of the API. */
import type { Context } from 'hono';
import type { App, AppEnv } from '../environment.ts';
import { anonymous } from '../http/access.ts';
import { answerUnrouted } from '../http/no-route.ts';

async function asset(c: Context<AppEnv>): Promise<Response> {
  const found = await c.env.ASSETS.fetch(c.req.raw);
  if (found.status === 404) {
    await found.body?.cancel();
    return answerUnrouted([], c);
  }
  // the envelope adds headers, which an answer of another service does not take
  return new Response(found.body, found);
}

export default function registerSite(app: App): void {
  for (const folder of ['/docs', '/ui']) {
    app.get(folder, anonymous, (c) => c.redirect(`${folder}/`, 308));
    app.get(`${folder}/*`, anonymous, asset);
  }
}
