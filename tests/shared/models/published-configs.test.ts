import { describe, expect, it } from 'vitest';
import { describe as describeModel } from '../../../shared/models/describe.ts';
import { PUBLISHED_CONFIGS } from '../../support/published-configs.ts';

describe('published configs', () => {
  it('are a collection', () => expect(PUBLISHED_CONFIGS.length).toBeGreaterThan(40));

  it.each(PUBLISHED_CONFIGS.filter(({ refused }) => !refused).map((entry) => [entry.name, entry] as const))(
    '%s is accepted, and counted as its publisher counts',
    (_, { config, parameters }) => {
      const found = describeModel(config).parameters;
      if (parameters !== undefined) {
        expect(found).toBe(parameters);
      }
    },
  );

  it.each(PUBLISHED_CONFIGS.filter(({ refused }) => refused).map((entry) => [entry.name, entry] as const))(
    '%s is refused for what changes the arithmetic',
    (_, { config, refused }) => {
      expect(() => describeModel(config)).toThrow(refused);
    },
  );
});
