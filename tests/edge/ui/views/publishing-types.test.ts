/** The page asks for the jobs of exactly the types whose contracts publish what it shows. */
import { expect, it } from 'vitest';
import { PUBLISHING } from '../../../../edge/ui/views/publishing-types.ts';
import { JOB_CONTRACTS } from '../../../../shared/jobs/index.generated.ts';

it.each(Object.entries(PUBLISHING))('knows every type that publishes a %s', (kind, types) => {
  const publish = Object.values(JOB_CONTRACTS).filter(({ produces }) => (produces as string[]).includes(kind));
  expect([...types].sort()).toEqual(publish.map(({ type }) => type).sort());
});
