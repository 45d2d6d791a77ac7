/** Errors of running programs; `code` is stable. */
export type EngineErrorCode =
  | 'provider_unavailable'
  | 'memory_budget_exceeded'
  | 'program_rejected'
  | 'run_failed'
  | 'feed_missing'
  | 'feed_mismatch'
  | 'loss_not_finite'
  | 'checkpoint_mismatch'
  | 'session_released';

export class EngineError extends Error {
  readonly code: EngineErrorCode;
  constructor(code: EngineErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'EngineError';
    this.code = code;
  }
}
