/** Errors of building and compiling graphs; `code` is stable. */
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

export type GraphErrorCode =
  | 'shape_mismatch'
  | 'shape_unknown'
  | 'dimension_invalid'
  | 'size_overflow'
  | 'dtype_mismatch'
  | 'argument_invalid'
  | 'gradient_undefined'
  | 'gradient_unreachable'
  | 'name_conflict'
  | 'feed_missing'
  | 'feed_mismatch';

export class GraphError extends Error {
  readonly code: GraphErrorCode;
  constructor(code: GraphErrorCode, message: string) {
    super(message);
    this.name = 'GraphError';
    this.code = code;
  }
}

const INTERNAL = [import.meta.dirname, `${dirname(import.meta.dirname)}/nn`];

/** `file:line` of the innermost caller outside this folder and the layers built directly on it. */
export function callerLine(): string {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 40;
  const lines = new Error().stack?.split('\n').slice(1) ?? [];
  Error.stackTraceLimit = stackTraceLimit;
  for (const line of lines) {
    const location = /(?:\(|at )(?:async )?((?:file:\/\/)?\/[^()]*?):(\d+):\d+\)?$/.exec(line.trim());
    if (!location) {
      continue;
    }
    const file = location[1]!.startsWith('file:') ? fileURLToPath(location[1]!) : location[1]!;
    if (!INTERNAL.some((folder) => file.startsWith(`${folder}/`))) {
      return `${file}:${location[2]}`;
    }
  }
  return 'unknown location';
}
