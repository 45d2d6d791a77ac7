import { cloudflareTest, readD1Migrations } from '@cloudflare/vitest-plugin';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    projects: [
      // runs inside workerd, with local D1, KV, R2, queues and Durable Objects; storage is isolated per file
      async () => ({
        plugins: [
          cloudflareTest({
            wrangler: { configPath: './wrangler.toml' },
            miniflare: { bindings: { TEST_MIGRATIONS: await readD1Migrations('./edge/migrations') } },
          }),
        ],
        test: {
          name: 'edge',
          isolate: false,
          include: ['tests/edge/**/*.test.ts'],
          setupFiles: ['./tests/edge/setup.ts'],
          testTimeout: 30_000,
          hookTimeout: 30_000,
        },
      }),
      {
        test: {
          name: 'node',
          include: ['tests/{shared,gpu-worker,infra,end-to-end}/**/*.test.ts'],
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
