/** A worker's log: one JSON line each, in the shape that the edge shares. */
import { logLine } from '../../shared/contracts/log-line.ts';
import { traceIdOf } from '../../shared/signing/traceparent.ts';

/** Takes one line: what happened, and the particulars; `trace` is a traceparent. */
export type Log = (event: string, fields: Record<string, unknown> & { trace?: string }) => void;

/** What a worker has to say of trouble, beside its ordinary doings. */
const TROUBLE = [
  'trouble',
  'waiting',
  'refused',
  'postponed',
  'not claimed',
  'not settled',
  'not reported',
  'not released',
  'heartbeat refused',
  'unwell',
  'failing',
];
const isTrouble = (event: string): boolean => TROUBLE.includes(event) || event.startsWith('failed');

/** The log of the worker of this id; `write` takes each line. */
export const workerLog =
  (worker: string, write: (line: string) => void): Log =>
  (event, { trace, ...fields }) =>
    write(
      logLine({
        at: new Date().toISOString(),
        level: isTrouble(event) ? 'warn' : 'info',
        service: worker,
        event,
        trace_id: trace ? traceIdOf(trace) : null,
        ...fields,
      }),
    );
