/** What this deployment can do and where its limits are. */
import { createRoute } from '@hono/zod-openapi';
import { DEPTH_LIMIT, JSON_LIMIT, TABLE_LIMIT } from '../../shared/contracts/body-limit.ts';
import { capabilitiesSchema } from '../../shared/contracts/capabilities.ts';
import { SCOPES } from '../../shared/contracts/scope.ts';
import { VECTOR_FORMATS, vectorDtypeSchema } from '../../shared/contracts/vector.ts';
import { SHARD_LIMIT } from '../../shared/contracts/worker-call.ts';
import { JOB_CONTRACTS } from '../../shared/jobs/index.generated.ts';
import type { App } from '../environment.ts';
import { json, open, problems } from '../http/declaration.ts';

const capabilitiesBody = capabilitiesSchema.openapi('Capabilities');

const read = createRoute({
  ...open,
  method: 'get',
  path: '/v1/capabilities',
  tags: ['service'],
  summary: 'What this deployment can do',
  responses: {
    200: json(capabilitiesBody, 'Job types, formats, scopes, limits'),
    ...problems('quota_exceeded'),
  },
});

export default function registerCapabilities(app: App): void {
  app.openapi(read, (c) => {
    c.header('cache-control', 'public, max-age=300');
    const job_types = Object.values(JOB_CONTRACTS).map(({ type, summary, version, scope, produces, interactive }) => ({
      type,
      summary,
      version,
      scope,
      produces: [...produces],
      interactive: interactive ? { ...interactive.largest } : null,
    }));
    return c.json(
      {
        job_types,
        vectors: { formats: [...VECTOR_FORMATS], dtypes: vectorDtypeSchema.options, batch: 100 },
        scopes: [...SCOPES],
        limits: {
          json_bytes: JSON_LIMIT,
          table_bytes: TABLE_LIMIT,
          json_depth: DEPTH_LIMIT,
          shard_bytes: SHARD_LIMIT,
          page: 100,
          reads_per_minute: c.env.READS_PER_MINUTE,
          writes_per_minute: c.env.WRITES_PER_MINUTE,
          jobs_per_minute: c.env.JOBS_PER_MINUTE,
        },
      },
      200,
    );
  });
}
