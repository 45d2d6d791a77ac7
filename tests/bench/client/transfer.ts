/** One transfer by the client in a process of its own: prints milliseconds, and bytes of memory above the idle process. */
import { once } from 'node:events';
import { createWriteStream, openAsBlob, readFileSync } from 'node:fs';
import { finished } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { Sextant } from '../../../edge/client/index.ts';

const [what, url, file] = process.argv.slice(2) as [string, string, string];
const client = new Sextant({ url, key: 'sextant_bench' });
/** The most that the process has held so far. */
const peak = (): number => 1024 * Number(/VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]);

await client.jobs.get('job');
await sleep(200);
const idle = peak();
const began = performance.now();
if (what === 'upload') {
  await client.artefacts.upload(await openAsBlob(file), { name: 'a' });
} else {
  const out = createWriteStream(file);
  for await (const part of client.artefacts.download('art')) {
    if (!out.write(part)) {
      await once(out, 'drain');
    }
  }
  out.end();
  await finished(out);
}
console.log(JSON.stringify({ ms: performance.now() - began, above: peak() - idle }));
