/** What an API key may do. */
import { z } from 'zod';

export const SCOPES = [
  'jobs:write',
  'jobs:read',
  'vectors:read',
  'vectors:write',
  'saes:read',
  'models:read',
  'artefacts:read',
  'artefacts:write',
  'reports:read',
  'fairness:compute',
  'directions:refusal',
  'keys:admin',
  'webhooks:admin',
  'recipes:write',
  'usage:read',
  'audit:read',
  'tenant:delete',
  'operator',
] as const;
export const scopeSchema = z.enum(SCOPES);
export type Scope = (typeof SCOPES)[number];
