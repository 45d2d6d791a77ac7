/** What every way of running a step program offers, and what it is told. */
import type { HostArray } from '../graph/index.ts';
import type { FeedValue, Provider, SessionOptions } from '../runtime/index.ts';

export type State = Readonly<Record<string, HostArray>>;
type StepResult = { metrics: Record<string, HostArray>; next: unknown };

export type StepEngine = {
  readonly provider: Provider;
  /** Computes `steps` steps from the current state; the state moves only when the result is accepted. */
  run(
    steps: number,
    perStep: Readonly<Record<string, HostArray>>,
    shared: Readonly<Record<string, FeedValue>>,
  ): Promise<StepResult>;
  accept(result: StepResult): void;
  /** Frees a result that was not accepted. */
  discard(result: StepResult): void;
  /** The state on the host, or the one that a result would lead to. */
  state(result?: StepResult): Promise<State>;
  release(): Promise<void>;
};

export type EngineOptions = SessionOptions & { provider: Provider };
