/** Manifests of what jobs publish. */
import type { Manifest } from '../../shared/contracts/manifest.ts';
import { statedParams } from './stated-params.ts';

/** A manifest of the present schema, its params stated: long ones by digest and size. */
export const manifestOf = (of: Omit<Manifest, 'schema'>): Manifest => ({
  ...of,
  schema: 1,
  params: statedParams(of.params),
});
