/** Provisioning against an account with the platform's published API. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { ForeignError, provision } from '../../../infra/deploy/provision/plan.ts';
import { Platform } from '../../../infra/deploy/provision/platform.ts';
import { ProvisionRecord } from '../../../infra/deploy/provision/record.ts';
import { secretsOf } from '../../../infra/deploy/provision/secrets.ts';
import { wantedBy } from '../../../infra/deploy/provision/wanted.ts';
import { repositoryRoot } from '../../support/guide.ts';
import { PlatformAccount } from '../../support/platform-account.ts';

let account: PlatformAccount;
let api = '';
let folder = '';
beforeEach(async () => {
  account = new PlatformAccount();
  api = await account.start();
  folder = mkdtempSync(join(tmpdir(), 'sextant-provision-'));
});
afterEach(() => {
  account.stop();
  rmSync(folder, { recursive: true });
  expect(account.faults).toEqual([]);
});

/** As `wrangler.toml` says it. */
const DECLARED = {
  name: 'sextant-edge',
  kv_namespaces: [{ binding: 'KV' }],
  r2_buckets: [{ bucket_name: 'sextant' }],
  d1_databases: [{ database_name: 'sextant', migrations_dir: 'edge/migrations' }],
  queues: {
    producers: [
      { binding: 'GPU_QUEUE', queue: 'sextant-jobs' },
      { binding: 'GPU_QUEUE_INTERACTIVE', queue: 'sextant-jobs-interactive' },
    ],
    consumers: [{ queue: 'sextant-jobs-dead' }],
  },
  vars: { POOLS: '{"default": {"interactive": "GPU_QUEUE_INTERACTIVE", "batch": "GPU_QUEUE"}}' },
};
const file = () => join(folder, 'record.json');
const run = (dry = false) =>
  provision({
    platform: new Platform({ api, account: 'account', token: 'token' }),
    record: new ProvisionRecord(file()),
    wanted: wantedBy(DECLARED, repositoryRoot),
    secrets: secretsOf({ S3_ACCESS_KEY_ID: 'id', S3_SECRET_ACCESS_KEY: 'secret' }),
    dry,
  });
const states = ({ lines }: Awaited<ReturnType<typeof run>>) => new Set(lines.map(({ state }) => state));
const names = () => account.tables.queues.map(({ queue_name }) => queue_name);

it('says what is missing without a change, makes it, and changes nothing the next time', async () => {
  const dry = await run(true);
  expect(dry.lines).toContainEqual({ kind: 'queue', name: 'sextant-jobs', state: 'make' });
  expect([dry.key, account.changes]).toEqual([null, []]);

  const first = await run();
  expect(names()).toEqual(['sextant-jobs-dead', 'sextant-jobs-interactive', 'sextant-jobs']);
  for (const queue of ['sextant-jobs', 'sextant-jobs-interactive']) {
    const id = String(account.tables.queues.find(({ queue_name }) => queue_name === queue)!.queue_id);
    const consumer = { type: 'http_pull', dead_letter_queue: 'sextant-jobs-dead' };
    expect(account.consumers.get(id)).toEqual([expect.objectContaining(consumer)]);
  }
  const held = account.contents.get(String(account.tables.databases[0]!.uuid))!;
  const applied = held
    .prepare('SELECT name FROM d1_migrations ORDER BY id')
    .all()
    .map(({ name }) => name);
  expect(applied).toEqual(wantedBy(DECLARED, repositoryRoot).migrations.map(({ name }) => name));
  expect(held.prepare('SELECT tenant, scopes FROM keys').all()).toEqual([
    expect.objectContaining({ tenant: 'operator', scopes: expect.stringContaining('operator') }),
  ]);
  expect(first.key).toMatch(/^sextant_/);
  expect(readFileSync(file(), 'utf8')).not.toContain(first.key!);
  expect(first.lines).toContainEqual(expect.objectContaining({ name: 'SIGNING_KEYS', state: 'later' }));

  // the Worker is deployed: its secrets follow, and nothing else
  account.secrets = new Map();
  const before = account.changes.length;
  expect((await run()).key).toBeNull();
  expect(account.changes.slice(before)).toEqual(Array(4).fill('PUT /workers/scripts/sextant-edge/secrets'));
  expect(JSON.parse(account.secrets.get('SIGNING_KEYS')!)).toMatchObject({ keys: [{ crv: 'Ed25519' }] });
  const then = account.changes.length;
  expect(states(await run())).toEqual(new Set(['there']));
  expect(account.changes.length).toBe(then);
});

it('touches nothing where a name is somebody else’s', async () => {
  account.tables.queues.push({ queue_id: 'theirs', queue_name: 'sextant-jobs' });
  await expect(run()).rejects.toThrow("there is a queue 'sextant-jobs' (theirs) that the record does not name");
  account.tables.queues.length = 0;
  account.tables.namespaces.push({ id: 'theirs', title: 'sextant-edge-kv' });
  await expect(run()).rejects.toThrow(ForeignError);
  expect(account.changes).toEqual([]);
});

it.each([1, 4, 7])('broken off after %i changes goes on where it was', async (changes) => {
  account.breakAt = changes;
  await expect(run()).rejects.toThrow();
  account.breakAt = Number.POSITIVE_INFINITY;
  await run();
  expect(names()).toHaveLength(3);
  expect(
    [account.tables.databases, account.tables.buckets, account.tables.namespaces].map(({ length }) => length),
  ).toEqual([1, 1, 1]);
  account.secrets = new Map();
  await run();
  expect(states(await run())).toEqual(new Set(['there']));
});
