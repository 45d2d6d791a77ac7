import { generateKeyPairSync } from 'node:crypto';
import { cloudflareTest, readD1Migrations } from '@cloudflare/vitest-plugin';
import { defineConfig } from 'vitest/config';

/** A private Ed25519 JWK: tests make their own keys, none lies in the repository. */
const newSigningKey = (kid: string) => ({
  ...generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' }),
  kid,
});

const report = process.env.SEXTANT_TEST_REPORT;

export default defineConfig({
  test: {
    // the edge logs every change; what a test that passed printed is not worth reading
    silent: 'passed-only',
    reporters: report ? ['default', ['json', { outputFile: report }]] : ['default'],
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
        },
      },
      {
        test: { name: 'data', include: ['tests/data/**/*.test.ts'], testTimeout: 300_000, hookTimeout: 120_000 },
      },
    ],
  },
});
