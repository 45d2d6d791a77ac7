/**
 * `npm run --silent trace -- TRACE_ID [FILE...]`: everything in these logs that bears the trace id, in order of time; without
 * files, of what comes on standard input. Takes the lines of edge and workers as they are, and the events that
 * `wrangler tail --format json` prints. TRACE_ID may be a whole traceparent.
 */
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { logLineSchema } from '../../shared/contracts/log-line.ts';

type Line = ReturnType<typeof logLineSchema.parse>;
type TailEvent = { logs?: { message?: unknown[] }[] };

/** The log lines that one line of a file holds: itself, or those within an event of `wrangler tail`. */
export function linesIn(text: string): Line[] {
  const start = text.indexOf('{');
  if (start < 0) {
    return [];
  }
  let value: unknown;
  try {
    value = JSON.parse(text.slice(start));
  } catch {
    return [];
  }
  const own = logLineSchema.safeParse(value);
  if (own.success) {
    return [own.data];
  }
  const logs = (value as TailEvent).logs;
  return Array.isArray(logs) ? logs.flatMap(({ message = [] }) => message.flatMap((one) => linesIn(String(one)))) : [];
}

/** Those of the trace, oldest first; lines of one moment stay in the order in which they were given. */
export const ofTrace = (lines: readonly Line[], trace: string): Line[] =>
  lines.filter((line) => line.trace_id === trace).sort((a, b) => Date.parse(a.at) - Date.parse(b.at));

/** A line for people: time, service, event, particulars. */
export function shown({ at, level, service, event, trace_id: _, ...rest }: Line): string {
  const fields = Object.entries(rest).filter(([, value]) => value !== null && value !== undefined);
  const told = fields.map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`);
  return [at, service, level === 'info' ? event : `${level.toUpperCase()} ${event}`, ...told].join('  ');
}

if (import.meta.main) {
  const [id = '', ...files] = process.argv.slice(2);
  const trace = /^[0-9a-f]{2}-([0-9a-f]{32})-/.exec(id)?.[1] ?? id;
  if (!/^[0-9a-f]{32}$/.test(trace)) {
    console.error('usage: npm run --silent trace -- TRACE_ID [FILE...]');
    process.exit(2);
  }
  const found: Line[] = [];
  for (const input of files.length > 0 ? files.map((file) => createReadStream(file)) : [process.stdin]) {
    for await (const text of createInterface({ input })) {
      found.push(...linesIn(text).filter((line) => line.trace_id === trace));
    }
  }
  for (const line of ofTrace(found, trace)) {
    console.log(shown(line));
  }
  process.exitCode = found.length > 0 ? 0 : 1;
}
