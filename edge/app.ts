/** The HTTP surface: what every request passes through, and the routes. */
import { OpenAPIHono } from '@hono/zod-openapi';
import type { AppEnv } from './environment.ts';
import { envelope } from './http/envelope.ts';
import { answerUnrouted } from './http/no-route.ts';
import { problemAnswer, refuseMisfit } from './http/problem.ts';
import { registerArtefacts } from './routes/artefacts.ts';
import { registerAudit } from './routes/audit.ts';
import { registerCapabilities } from './routes/capabilities.ts';
import { registerFairnessAudits } from './routes/fairness-audits.ts';
import { registerFairnessCorrections } from './routes/fairness-corrections.ts';
import { registerFairnessPredictors } from './routes/fairness-predictors.ts';
import { registerHealth } from './routes/health.ts';
import { registerInternalJobs } from './routes/internal-jobs.ts';
import { registerJobs } from './routes/jobs.ts';
import { registerJobEvents } from './routes/jobs-events.ts';
import { registerSigningKeys } from './routes/jobs-keys.ts';
import { registerJobWebhooks } from './routes/jobs-webhooks.ts';
import { registerKeys } from './routes/keys.ts';
import { registerModels } from './routes/models.ts';
import { registerOpenApi } from './routes/openapi.ts';
import { registerProblems } from './routes/problems.ts';
import { registerReports } from './routes/reports.ts';
import { registerSaeLatents } from './routes/sae-latents.ts';
import { registerSaes } from './routes/saes.ts';
import { registerVectorBatches } from './routes/vector-batches.ts';
import { registerVectorNames } from './routes/vector-names.ts';
import { registerVectors } from './routes/vectors.ts';

export type App = OpenAPIHono<AppEnv>;

/** One registrar per file of `routes/`. */
const ROUTES: readonly ((app: App) => void)[] = [
  registerHealth,
  registerOpenApi,
  registerProblems,
  registerCapabilities,
  registerJobs,
  registerJobEvents,
  registerJobWebhooks,
  registerInternalJobs,
  registerSigningKeys,
  registerKeys,
  registerArtefacts,
  registerModels,
  registerVectors,
  registerVectorBatches,
  registerVectorNames,
  registerSaes,
  registerSaeLatents,
  registerReports,
  registerAudit,
  registerFairnessPredictors,
  registerFairnessAudits,
  registerFairnessCorrections,
];

export function createApp(): App {
  const app: App = new OpenAPIHono<AppEnv>({ defaultHook: refuseMisfit });
  app.openAPIRegistry.registerComponent('securitySchemes', 'bearer', {
    type: 'http',
    scheme: 'bearer',
    description: 'an API key',
  });
  app.use(envelope);
  app.onError(problemAnswer);
  app.notFound((c) => answerUnrouted(app.routes, c));
  for (const register of ROUTES) register(app);
  return app;
}
