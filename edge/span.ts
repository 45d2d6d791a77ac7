/** Own spans in the platform's traces: https://developers.cloudflare.com/workers/observability/traces/custom-spans/ */
import { tracing } from 'cloudflare:workers';
import { traceIdOf } from '../shared/signing/traceparent.ts';

/** Runs the body as a span; it carries the trace id that logs, messages and webhooks carry, so that one finds the other. */
export const span = <T>(name: string, trace: string | null | undefined, body: () => T): T =>
  tracing.enterSpan(name, (own) => {
    if (trace) {
      own.setAttribute('sextant.trace_id', traceIdOf(trace));
    }
    return body();
  });
