/** What a Worker's configuration file means for the local runtime. Reading it takes wrangler two seconds, so the answer is kept. */
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Unstable_MiniflareWorkerOptions } from 'wrangler';

const MODULES = join(import.meta.dirname, '../../node_modules');

type DeclaredWorker = Pick<Unstable_MiniflareWorkerOptions, 'workerOptions' | 'main'>;

/** Bindings, queues, objects and entry point that the file declares. */
export async function declaredWorker(file: string): Promise<DeclaredWorker> {
  const wrangler = readFileSync(join(MODULES, 'wrangler/package.json'));
  const key = createHash('sha256').update(file).update(readFileSync(file)).update(wrangler).digest('hex');
  const kept = join(MODULES, '.cache/sextant', `worker-${key}.json`);
  try {
    return JSON.parse(readFileSync(kept, 'utf8')) as DeclaredWorker;
  } catch {
    const { unstable_getMiniflareWorkerOptions } = await import('wrangler');
    const { workerOptions, main } = unstable_getMiniflareWorkerOptions(file);
    const declared = { workerOptions, main } as DeclaredWorker;
    mkdirSync(dirname(kept), { recursive: true });
    writeFileSync(kept, JSON.stringify(declared));
    return declared;
  }
}
