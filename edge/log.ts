/** The edge's log: one JSON line each, in the shape that workers share. Ids and codes alone: never content, never a secret. */
import { logLine } from '../shared/contracts/log-line.ts';
import { traceIdOf } from '../shared/signing/traceparent.ts';

/** `trace` is a traceparent. */
type Particulars = Record<string, unknown> & { trace?: string | null | undefined };

const line = (level: 'info' | 'warn' | 'error', event: string, { trace, ...fields }: Particulars): string =>
  logLine({
    at: new Date().toISOString(),
    level,
    service: 'edge',
    event,
    trace_id: trace ? traceIdOf(trace) : null,
    ...fields,
  });

export const log = {
  info: (event: string, fields: Particulars = {}): void => console.log(line('info', event, fields)),
  warn: (event: string, fields: Particulars = {}): void => console.warn(line('warn', event, fields)),
  error: (event: string, fields: Particulars = {}): void => console.error(line('error', event, fields)),
};
