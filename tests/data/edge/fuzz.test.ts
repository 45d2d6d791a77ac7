/**
 * Requests made from the contract, for every route, on the real edge over a socket: 2,000 of them, or `FUZZ_REQUESTS`. The
 * seed is printed; `FUZZ_SEED` replays it.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { INSERT_KEY, keyValues, mintKey } from '../../../edge/keys/mint.ts';
import { type EdgeProcess, startEdge } from '../../../infra/dev/edge-process.ts';
import { SCOPES } from '../../../shared/contracts/scope.ts';
import { freePort } from '../../support/free-port.ts';
import { newSigningKey } from '../../support/signing-key.ts';
import { OPERATIONS } from './fuzz/contract.ts';
import { FuzzSession, planOf, WITHOUT_VALID_INPUT } from './fuzz/session.ts';

const REQUESTS = Number(process.env.FUZZ_REQUESTS ?? 2000);
const SEED = Number(process.env.FUZZ_SEED ?? Math.floor(Math.random() * 2 ** 31));
const AT_ONCE = 8;

const data = mkdtempSync(join(tmpdir(), 'sextant-fuzz-'));
let edge: EdgeProcess;
let session: FuzzSession;
beforeAll(async () => {
  const signing = await newSigningKey('fuzz');
  edge = await startEdge({
    port: await freePort(),
    data,
    vars: { WEBHOOK_KEY: 'fuzz', SIGNING_KEYS: JSON.stringify({ keys: [signing.jwk] }) },
  });
  const limits = { reads: 1e9, writes: 1e9, jobs: 1e9 };
  const { text, row } = await mintKey({ tenant: 'fuzz', name: 'fuzz', scopes: SCOPES, limits, now: Date.now() });
  await edge.execute(INSERT_KEY, keyValues(row));
  session = new FuzzSession(edge.url, text);
}, 300_000);
afterAll(async () => {
  await edge?.stop();
  rmSync(data, { recursive: true, force: true });
});

/** A generator of 32-bit seeds (mulberry32), so that request n of a seed is the same each time. */
const seedOf = (n: number): number => {
  let t = (SEED + Math.imul(n, 0x6d2b79f5)) | 0;
  t = Math.imul(t ^ (t >>> 15), t | 1);
  t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
  return (t ^ (t >>> 14)) >>> 0;
};

it('answers every request of the contract within the contract', { timeout: 1_800_000 }, async () => {
  console.log(`fuzz seed ${SEED}: FUZZ_SEED=${SEED} FUZZ_REQUESTS=${REQUESTS} replays it`);
  const faults: string[] = [];
  // first what later requests name
  const makers = OPERATIONS.filter(({ method, path }) => method === 'POST' && !path.includes('{'));
  for (const operation of [...makers, ...makers]) {
    await session.send(operation, { kind: 'valid', seed: 8 }).catch((error: Error) => faults.push(error.message));
  }
  let next = 0;
  const work = async (): Promise<void> => {
    for (let n = next++; n < REQUESTS && faults.length < 20; n = next++) {
      const operation = OPERATIONS[n % OPERATIONS.length]!;
      await session.send(operation, planOf(seedOf(n))).catch((error: Error) => faults.push(error.message));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  expect(faults, `seed ${SEED}`).toEqual([]);

  const tallies = [...session.tally];
  const sum = (of: 'sent' | 'refused'): number => tallies.reduce((total, [, tally]) => total + tally[of], 0);
  expect(sum('refused') / sum('sent')).toBeLessThan(0.01);
  const least = Math.min(100, Math.floor(REQUESTS / OPERATIONS.length));
  expect(tallies.filter(([, { sent }]) => sent < least)).toEqual([]);
  const poor = tallies.filter(([name, { sent, succeeded }]) => !WITHOUT_VALID_INPUT.has(name) && succeeded < sent / 4);
  console.log(
    `succeeded in less than a quarter: ${poor.map(([name, { sent, succeeded }]) => `${name} ${succeeded}/${sent}`).join(', ')}`,
  );
});
