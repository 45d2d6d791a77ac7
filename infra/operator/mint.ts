/**
 * What an operator runs to let somebody in. Prints the secret for its holder and the statement for the deployment's
 * database, which `wrangler d1 execute sextant --remote --command "..."` runs; nothing is stored here.
 *
 *   npm run --silent mint -- key --tenant T --name N --scopes vectors:read,jobs:write [--days D] [--device-seconds S]
 *   npm run --silent mint -- worker --pool P [--days D]
 *   npm run --silent mint -- revoke ID
 *   npm run --silent mint -- secret signing-keys | webhook-key      the deployment's own secrets, which nothing else knows
 */
import { parseArgs } from 'node:util';
import { exportJWK, generateKeyPair } from 'jose';
import {
  asSql,
  INSERT_KEY,
  INSERT_WORKER,
  keyValues,
  mintKey,
  mintWorker,
  NOTE_EVENT,
  workerValues,
} from '../../edge/keys/mint.ts';
import { PUBLIC_TENANT } from '../../edge/keys/public-tenant.ts';
import { randomIdSchema } from '../../shared/contracts/manifest.ts';
import { scopeSchema } from '../../shared/contracts/scope.ts';
import { base32, randomId } from '../../shared/signing/digest.ts';

const TENANT = /^[a-z0-9][a-z0-9-]{0,62}$/;
const DAY_MS = 86_400_000;

/** The lines to print for these arguments. Raises an Error that says what is missing or wrong. */
export async function mint(args: readonly string[], now: number): Promise<string[]> {
  const text = { type: 'string' } as const;
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { tenant: text, name: text, scopes: text, pool: text, days: text, 'device-seconds': text },
  });
  const [what, id = ''] = positionals;
  const expires_at = values.days === undefined ? null : now + Number(values.days) * DAY_MS;
  if (Number.isNaN(expires_at)) {
    throw new Error('--days takes a number');
  }
  if (what === 'key') {
    const { tenant = '', name = 'operator' } = values;
    if (!TENANT.test(tenant)) {
      throw new Error('--tenant takes 1 to 63 lower-case letters, digits and hyphens');
    }
    const scopes = (values.scopes ?? '').split(',').map((scope) => scopeSchema.parse(scope));
    const cap = values['device-seconds'] === undefined ? null : Number(values['device-seconds']);
    if (Number.isNaN(cap)) {
      throw new Error('--device-seconds takes a number: what its jobs may take each day');
    }
    const limits = cap === null ? {} : { device_seconds_per_day: cap };
    const { text, row } = await mintKey({ tenant, name, scopes, limits, now, expires_at });
    const note = noted({ tenant, at: now, action: 'key.create', target: row.id });
    return [`key (shown once): ${text}`, `statement: ${asSql(INSERT_KEY, keyValues(row))}; ${note}`];
  }
  if (what === 'worker') {
    if (!values.pool) {
      throw new Error('--pool names the pool that the worker belongs to');
    }
    const { privateJwk, row } = await mintWorker({ pool: values.pool, now, expires_at });
    return [
      `private key file (stays on the worker's host): ${JSON.stringify(privateJwk)}`,
      `statement: ${asSql(INSERT_WORKER, workerValues(row))}; ${noted({ tenant: PUBLIC_TENANT, at: now, action: 'worker.create', target: row.id })}`,
    ];
  }
  if (what === 'revoke') {
    const table = randomIdSchema('key').safeParse(id).success ? 'keys' : 'workers';
    if (table === 'workers') {
      randomIdSchema('wkr').parse(id);
    }
    const revoke = asSql(`UPDATE ${table} SET revoked_at = ? WHERE id = ?`, [now, id]);
    const note =
      table === 'keys'
        ? asSql(
            `INSERT INTO operator_events (id, tenant, at, action, target) SELECT ?, tenant, ?, 'key.revoke', id FROM keys WHERE id = ?`,
            [randomId('evt'), now, id],
          )
        : noted({ tenant: PUBLIC_TENANT, at: now, action: 'worker.revoke', target: id });
    return [`statement: ${revoke}; ${note}`];
  }
  if (what === 'secret' && id === 'signing-keys') {
    const { privateKey } = await generateKeyPair('EdDSA', { crv: 'Ed25519', extractable: true });
    const kid = `edge-${base32(crypto.getRandomValues(new Uint8Array(5)))}`;
    return [JSON.stringify({ keys: [{ ...(await exportJWK(privateKey)), kid }] })];
  }
  if (what === 'secret' && id === 'webhook-key') {
    return [base32(crypto.getRandomValues(new Uint8Array(32)))];
  }
  throw new Error('say key, worker or revoke, or secret with signing-keys or webhook-key');
}

/** The statement that notes it for the audit log; what concerns no tenant stands in the log of the public one. */
const noted = ({
  tenant,
  at,
  action,
  target,
}: {
  tenant: string;
  at: number;
  action: string;
  target: string;
}): string => asSql(NOTE_EVENT, [randomId('evt'), tenant, at, action, target]);

if (import.meta.main) {
  try {
    for (const line of await mint(process.argv.slice(2), Date.now())) {
      console.log(line);
    }
  } catch (error) {
    console.error((error as Error).message);
    process.exitCode = 2;
  }
}
