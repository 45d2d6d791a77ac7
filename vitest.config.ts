import { generateKeyPairSync } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { cloudflareTest, readD1Migrations } from '@cloudflare/vitest-plugin';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** A private Ed25519 JWK: tests make their own keys, none lies in the repository. */
const newSigningKey = (kid: string) => ({
  ...generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' }),
  kid,
});

/**
 * Files that start a whole stack first: they take longest, so that none is left running alone at the end, and mostly wait,
 * so that what follows them finds the cores free.
 */
class StacksFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const startsStack = ({ moduleId }: TestSpecification): boolean => moduleId.includes('/tests/end-to-end/');
    const sorted = await super.sort(files);
    return [...sorted.filter(startsStack), ...sorted.filter((file) => !startsStack(file))];
  }
}

const report = process.env.SEXTANT_TEST_REPORT;

export default defineConfig({
  test: {
    // the edge logs every change; what a test that passed printed is not worth reading
    silent: 'passed-only',
    reporters: report ? ['default', ['json', { outputFile: report }]] : ['default'],
    sequence: { sequencer: StacksFirst },
    projects: [
      // runs inside workerd, with local D1, KV, R2, queues and Durable Objects; storage is isolated per file
      async () => ({
        plugins: [
          cloudflareTest({
            wrangler: { configPath: './wrangler.toml' },
            miniflare: {
              bindings: {
                TEST_MIGRATIONS: await readD1Migrations('./edge/migrations'),
                SIGNING_KEYS: JSON.stringify({ keys: [newSigningKey('test-1'), newSigningKey('test-2')] }),
                WEBHOOK_KEY: 'test',
                CORS_ORIGINS: 'https://other.example, https://app.example',
                S3_ACCESS_KEY_ID: 'local',
                S3_SECRET_ACCESS_KEY: 'local-secret',
                // pools of single tests, beside the one that all the others share
                POOLS: JSON.stringify({
                  default: { interactive: 'GPU_QUEUE_INTERACTIVE', batch: 'GPU_QUEUE' },
                  bells: { interactive: 'GPU_QUEUE_INTERACTIVE', batch: 'GPU_QUEUE' },
                  turns: 'GPU_QUEUE',
                  lost: 'GPU_QUEUE',
                }),
              },
            },
          }),
        ],
        test: {
          name: 'edge',
          isolate: false,
          // one workerd for all files, whose start costs more than most of them
          maxWorkers: 1,
          include: ['tests/edge/**/*.test.ts'],
          // the client's run in every runtime that it is for, which Node starts
          exclude: ['tests/edge/client/**'],
          setupFiles: ['./tests/edge/setup.ts'],
          testTimeout: 30_000,
          hookTimeout: 30_000,
        },
      }),
      {
        test: {
          name: 'node',
          include: ['tests/{shared,gpu-worker,infra,end-to-end,edge/client}/**/*.test.ts'],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          // one more than cores, since a test of a whole stack mostly waits (Vitest's own choice on two cores is one)
          maxWorkers: availableParallelism() + 1,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          name: 'data',
          sequence: { groupOrder: 2 },
          include: ['tests/data/**/*.test.ts'],
          testTimeout: 300_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});
