/** One job's dealings with its tenant's account: what it reserves when its turn comes, is charged while it runs, and settles. */
import type { Env } from '../environment.ts';
import { accountOf, type Spender } from '../spending/account.ts';
import type { JobState } from './state.ts';
import { ranSeconds } from './state.ts';

/** Heartbeats come every second; the account is asked this often, and at the moment when little is left. */
const CHARGE_MS = 5_000;

const spenderOf = ({ tenant, key = '', id }: JobState): Spender => ({ tenant, key, job: id });

export class JobSpending {
  readonly #env: Env;
  /** When the account is to be asked again, and whether a cap had been reached when it was last. */
  #askAt = 0;
  #spent = false;

  constructor(env: Env) {
    this.#env = env;
  }

  reserve(state: JobState): Promise<'granted' | 'spent' | 'full'> {
    return accountOf(this.#env, state.tenant).reserve(spenderOf(state), state.estimate_s);
  }

  /** Whether the job has reached its own cap, its key's or its tenant's. An account that cannot be reached stops nothing. */
  async isSpent(state: JobState, now: number): Promise<boolean> {
    const ran = ranSeconds(state, now);
    if (ran >= (state.max_cost_s ?? Number.POSITIVE_INFINITY)) {
      return true;
    }
    if (now >= this.#askAt) {
      this.#askAt = now + CHARGE_MS;
      const left = await accountOf(this.#env, state.tenant)
        .charge(spenderOf(state), ran)
        .catch(() => Number.POSITIVE_INFINITY);
      this.#spent = left <= 0;
      this.#askAt = now + Math.min(CHARGE_MS, Math.max(0, 1000 * left));
    }
    return this.#spent;
  }

  settle(state: JobState): Promise<void> {
    return accountOf(this.#env, state.tenant).settle(spenderOf(state), state.ran_ms / 1000);
  }
}
