/** The secrets that a deployment begins with: some are made, some are brought by whoever deploys. */
import { asSql, INSERT_KEY, keyValues, mintKey } from '../../../edge/keys/mint.ts';
import { mint } from '../../operator/mint.ts';
import type { Secrets } from './plan.ts';

export const secretsOf = (environment: Readonly<Record<string, string | undefined>>): Secrets => {
  const given = (name: string) => {
    const value = environment[name];
    return value ? () => Promise.resolve(value) : undefined;
  };
  const minted = (what: string) => async () => (await mint(['secret', what], Date.now()))[0]!;
  return {
    values: {
      SIGNING_KEYS: minted('signing-keys'),
      WEBHOOK_KEY: minted('webhook-key'),
      S3_ACCESS_KEY_ID: given('S3_ACCESS_KEY_ID'),
      S3_SECRET_ACCESS_KEY: given('S3_SECRET_ACCESS_KEY'),
    },
    async operatorKey() {
      const { text, row } = await mintKey({
        tenant: 'operator',
        name: 'first',
        scopes: ['operator'],
        limits: {},
        now: Date.now(),
      });
      return { id: row.id, text, statement: asSql(INSERT_KEY, keyValues(row)) };
    },
  };
};
