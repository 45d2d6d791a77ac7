/** What the API shows of a published result, for kinds that have no view of their own. */
import { PUBLIC_TENANT } from '../environment.ts';
import type { PublishedResult } from './reading.ts';

export const publishedView = ({ id, tenant, manifest, job, created }: PublishedResult) => ({
  id,
  ...manifest,
  job: tenant === PUBLIC_TENANT ? null : job,
  created_at: new Date(created).toISOString(),
});

/** The id is the manifest's digest, so what is shown never changes. */
export const publishedCaching = ({ tenant }: PublishedResult): [string, string][] => [
  ['cache-control', tenant === PUBLIC_TENANT ? 'public, max-age=31536000, immutable' : 'private, max-age=300'],
  ['vary', 'Authorization'],
];
