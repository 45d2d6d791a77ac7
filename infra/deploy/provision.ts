/**
 * `node infra/deploy/provision.ts --record FILE [--dry-run]`: makes what a deployment needs in its account, and never
 * touches what it did not make. CLOUDFLARE_ACCOUNT_ID and CLOUDFLARE_API_TOKEN say where; S3_ACCESS_KEY_ID and
 * S3_SECRET_ACCESS_KEY hold an R2 API token. Run it, `npx wrangler deploy`, then run it again: secrets need the Worker.
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Line, provision } from './provision/plan.ts';
import { Platform } from './provision/platform.ts';
import { ProvisionRecord } from './provision/record.ts';
import { secretsOf } from './provision/secrets.ts';
import { type Declared, wantedBy } from './provision/wanted.ts';

const ROOT = join(import.meta.dirname, '../..');
const WORDS: Readonly<Record<Line['state'], string>> = { there: ' ', make: '+', made: '+', later: '!' };

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { record: { type: 'string' }, 'dry-run': { type: 'boolean', default: false } },
  });
  const { CLOUDFLARE_ACCOUNT_ID: account, CLOUDFLARE_API_TOKEN: token, CLOUDFLARE_API_BASE: api } = process.env;
  if (!values.record || !account || !token) {
    throw new Error(
      'usage: CLOUDFLARE_ACCOUNT_ID=... CLOUDFLARE_API_TOKEN=... node infra/deploy/provision.ts --record FILE [--dry-run]; FILE remembers what was made',
    );
  }
  const { unstable_readConfig } = await import('wrangler');
  const wanted = wantedBy(unstable_readConfig({ config: join(ROOT, 'wrangler.toml') }) as Declared, ROOT);
  const { lines, ids, key } = await provision({
    platform: new Platform({ api: api ?? 'https://api.cloudflare.com/client/v4', account, token }),
    record: new ProvisionRecord(values.record),
    wanted,
    secrets: secretsOf(process.env),
    dry: values['dry-run'],
  });
  for (const { state, kind, name, note } of lines) {
    console.log(`${WORDS[state]} ${kind} ${name}${note ? ` (${note})` : ''}`);
  }
  for (const [what, id] of Object.entries(ids).filter(([what]) => /^(database|namespace|queue) /.test(what))) {
    console.log(`for wrangler.toml and worker.json: ${what} = ${id}`);
  }
  if (key !== null) {
    console.log(`the operator's key (shown once): ${key}`);
  }
}

try {
  await main();
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 1;
}
