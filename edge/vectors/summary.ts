/** A vector as lists show it. */
import type { z } from 'zod';
import { vectorBodySchema, type vectorSummarySchema } from '../../shared/contracts/vector.ts';
import type { PublishedResult } from '../published/reading.ts';

export function vectorSummary({ id, manifest, created }: PublishedResult): z.infer<typeof vectorSummarySchema> {
  const { model, hook, method } = manifest;
  const { width, positive_pole, negative_pole, strength } = vectorBodySchema.parse(manifest.body);
  const created_at = new Date(created).toISOString();
  return { id, model, hook, method, width, positive_pole, negative_pole, strength, created_at };
}
