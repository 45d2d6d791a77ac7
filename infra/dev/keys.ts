/** Development keys: made once, kept in the data folder (never in the repository), registered with the edge at every start. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { exportJWK, generateKeyPair } from 'jose';
import { INSERT_KEY, INSERT_WORKER, keyValues, mintKey, mintWorker, workerValues } from '../../edge/keys/mint.ts';
import { SCOPES } from '../../shared/contracts/scope.ts';
import { base32 } from '../../shared/signing/digest.ts';
import type { EdgeProcess, Value } from './edge-process.ts';

const secretFile = (path: string, value: unknown): void => {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `${JSON.stringify(value, null, 2)}\n`, { mode: 0o600 });
};
const orIgnore = (statement: string): string => statement.replace('INSERT INTO', 'INSERT OR IGNORE INTO');

type Registered = { statement: string; values: Value[] };

/** Reads the file, or makes its content and keeps it. */
async function kept<T>(path: string, make: () => Promise<T>): Promise<T> {
  if (existsSync(path)) {
    return JSON.parse(readFileSync(path, 'utf8')) as T;
  }
  const value = await make();
  secretFile(path, value);
  return value;
}

type EdgeSecrets = { signing: Record<string, unknown>; webhooks: string };

/** The edge's own secrets. */
export const edgeSecrets = (data: string): Promise<EdgeSecrets> =>
  kept(join(data, 'keys', 'edge.json'), async () => {
    const pair = await generateKeyPair('EdDSA', { crv: 'Ed25519', extractable: true });
    const kid = `edge-${base32(crypto.getRandomValues(new Uint8Array(5)))}`;
    return {
      signing: { ...(await exportJWK(pair.privateKey)), kid },
      webhooks: base32(crypto.getRandomValues(new Uint8Array(32))),
    };
  });

/** Registers the development API key and returns its text. */
export async function apiKey(data: string, edge: EdgeProcess): Promise<string> {
  const { text, values, statement } = await kept(
    join(data, 'keys', 'api.json'),
    async (): Promise<Registered & { text: string }> => {
      const { text, row } = await mintKey({
        tenant: 'development',
        name: 'development',
        scopes: SCOPES,
        now: Date.now(),
      });
      return { text, statement: orIgnore(INSERT_KEY), values: keyValues(row) };
    },
  );
  await edge.execute(statement, values);
  return text;
}

/** Registers worker `n` and returns the file that holds its private key. */
export async function workerKey(data: string, edge: EdgeProcess, n: number): Promise<string> {
  const folder = join(data, 'keys', `worker-${n}`);
  const keyFile = join(folder, 'key.json');
  const { statement, values } = await kept(join(folder, 'registration.json'), async (): Promise<Registered> => {
    const { privateJwk, row } = await mintWorker({ pool: 'default', now: Date.now() });
    secretFile(keyFile, privateJwk);
    return { statement: orIgnore(INSERT_WORKER), values: workerValues(row) };
  });
  await edge.execute(statement, values);
  // a registration kept from before pools had queues
  await edge.execute("UPDATE workers SET pool = 'default' WHERE pool = 'development'");
  return keyFile;
}
