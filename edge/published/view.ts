/** What the API shows of a manifested thing, for kinds that have no view of their own. */
import { z } from '@hono/zod-openapi';
import { manifestSchema } from '../../shared/contracts/thing.ts';
import { PUBLIC_TENANT } from '../environment.ts';
import type { Thing } from './reading.ts';

export const thingSchema = <I extends z.ZodType>(id: I) =>
  manifestSchema.extend({ id, job: z.string().nullable(), created_at: z.string() });

export const thingView = ({ id, tenant, manifest, job, created }: Thing) => ({
  id,
  ...manifest,
  job: tenant === PUBLIC_TENANT ? null : job,
  created_at: new Date(created).toISOString(),
});

/** The id is the manifest's digest, so what is shown never changes. */
export const thingCaching = ({ tenant }: Thing): [string, string][] => [
  ['cache-control', tenant === PUBLIC_TENANT ? 'public, max-age=31536000, immutable' : 'private, max-age=300'],
  ['vary', 'Authorization'],
];
