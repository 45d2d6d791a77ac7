/** What a hook makes of a delivery that its provider has read: which repositories and refs it listens to. */
import type { Hook } from './hooks.ts';
import { ignore, type Reading } from './providers/provider.ts';

/** An event of a repository that the hook does not list starts nothing. */
export function judge({ repositories }: Pick<Hook, 'repositories'>, reading: Reading): Reading {
  if ('ignored' in reading || repositories.length === 0) {
    return reading;
  }
  const { repository } = reading.event;
  if (repository !== null && repositories.some((one) => one.toLowerCase() === repository.toLowerCase())) {
    return reading;
  }
  const told = repository === null ? 'no repository' : repository.slice(0, 200);
  return ignore(
    'repository_unknown',
    `the hook listens to ${repositories.slice(0, 5).join(', ')}; this delivery is of ${told}`,
  );
}
