/**
 * `npm run --silent worker -- CONFIGURATION.json [--until-empty]`: a GPU worker; `--until-empty` ends it when nothing waits.
 * Exit status 3 when the edge does not know it.
 */
import { parseArgs } from 'node:util';
import { readConfiguration } from './configuration.ts';
import { HostHealth } from './host-health.ts';
import { workerLog } from './log.ts';
import { Metrics, serveMetrics } from './metrics.ts';
import { Worker } from './worker.ts';

const USAGE = 'usage: npm run --silent worker -- CONFIGURATION.json [--until-empty]';

/** What the command line says; anything else ends the process with what would be right. */
function options(): { file: string; untilEmpty: boolean } {
  try {
    const { values, positionals } = parseArgs({
      options: { 'until-empty': { type: 'boolean', default: false } },
      allowPositionals: true,
    });
    const [file, ...rest] = positionals;
    if (file && rest.length === 0) {
      return { file, untilEmpty: values['until-empty'] };
    }
    console.error(USAGE);
  } catch (error) {
    console.error(`${(error as Error).message}\n${USAGE}`);
  }
  process.exit(2);
}

const { file, untilEmpty } = options();
const configuration = readConfiguration(file, process.env);
const log = workerLog(configuration.key.kid, (line) => console.log(line));
const metrics = new Metrics();
const health = new HostHealth(configuration.data);
const served = configuration.metrics && (await serveMetrics(metrics, health, configuration.metrics));
const worker = new Worker(configuration, log, metrics, health, { untilEmpty });
// `disconnect` comes only where a parent started the worker with a channel, and that parent is gone.
for (const end of ['SIGTERM', 'SIGINT', 'disconnect']) {
  process.on(end, () => worker.stop());
}
log('ready', {
  edge: configuration.edge_url,
  queue: configuration.queue.id,
  device: configuration.device,
  ...(served ? { metrics_port: served.port } : {}),
});
await worker.run().then(
  () => log('stopped', {}),
  (error: unknown) => {
    log('ended', { reason: String(error) });
    process.exitCode = 3;
  },
);
served?.server.close();
served?.server.closeAllConnections();
// An open channel would keep the process alive.
if (process.connected) {
  process.disconnect();
}
