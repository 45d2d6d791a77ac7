import { describe, expect, it } from 'vitest';
import * as claims from '../../../edge/jobs/claims.ts';
import * as life from '../../../edge/jobs/state.ts';

const T0 = 1_800_000_000_000;
const timing = { lease_ms: 30_000, resend_ms: 60_000 };
let dispatches = 0;
const nextDispatch = () => `dsp_${++dispatches}`;

const created = (terms: Partial<life.Terms> = {}): life.JobState =>
  life.create(
    {
      id: 'job_1',
      tenant: 't',
      type: 'diagnostics.run',
      input_digest: 'd',
      created_at: T0,
      timeout_ms: 100_000,
      queue_ttl_ms: 1e9,
      max_attempts: 3,
      retention_ms: 1000,
      inputs_kept_ms: null,
      estimate_s: 1,
      webhook: null,
      labels: {},
      ...terms,
    },
    'dsp_0',
  );
const claim = (state: life.JobState, now: number, n = 1) =>
  claims.claim(state, { worker: `wkr_${n}`, fence: `fence_${n}` }, now, timing, nextDispatch);
const advance = (state: life.JobState, now: number) => life.advance(state, now, nextDispatch);
const error = { code: 'computation_crashed', detail: 'broke' };

describe('a dispatch that nobody claims', () => {
  it('is sent again after 60 s, doubling to an hour, and never counts as an attempt', () => {
    let state = created();
    const times: number[] = [];
    for (let now = T0; now < T0 + 4 * 3_600_000; now = life.nextChange(state) ?? 0) {
      expect(life.sendIsDue(state, now)).toBe(true);
      times.push((now - T0) / 1000);
      state = life.sent(state, now, timing);
      expect(life.sendIsDue(state, now)).toBe(false);
    }
    const gaps = times.slice(1).map((time, i) => time - (times[i] ?? 0));
    expect(gaps).toEqual([60, 120, 240, 480, 960, 1920, 3600, 3600]);
    expect(state).toMatchObject({ status: 'queued', claims: 0, charged: 0, dispatch: { id: 'dsp_0' } });
  });

  it('fails the job at queue_ttl_s', () => {
    const state = created({ queue_ttl_ms: 10_000 });
    expect(advance(state, T0 + 9999)).toBe(state);
    expect(advance(state, T0 + 10_000)).toMatchObject({ status: 'failed', error: { code: 'queue_ttl' } });
  });
});

describe('a claim', () => {
  it('gets a token, an attempt number and a lease, and keeps others out', () => {
    const state = claim(created(), T0 + 5);
    expect(state).toMatchObject({
      status: 'running',
      attempt: { number: 1, fence: 'fence_1', worker: 'wkr_1', lease_until: T0 + 5 + timing.lease_ms },
    });
    expect(() => claim(state, T0 + 6, 2)).toThrow(expect.objectContaining({ code: 'job_busy' }));
    expect(() => claims.holding(state, 'fence_1', 'wkr_2')).toThrow(expect.objectContaining({ code: 'fence_stale' }));
    expect(() => claims.holding(state, 'fence_2', 'wkr_1')).toThrow(expect.objectContaining({ code: 'fence_stale' }));
    expect(() => claims.holding(state, null, 'wkr_1')).toThrow(expect.objectContaining({ code: 'fence_stale' }));
  });

  it('lives by its heartbeats; a lost lease queues the job under a new dispatch until the cap', () => {
    let state = claim(created(), T0);
    state = claims.heartbeat(state, null, T0 + 20_000, timing);
    expect(advance(state, T0 + 49_999)).toBe(state);
    state = advance(state, T0 + 50_000);
    expect(state).toMatchObject({ status: 'queued', ran_ms: 50_000, error: { code: 'lease_lost' } });
    expect(state.dispatch.id).not.toBe('dsp_0');
    expect(() => claims.holding(state, 'fence_1', 'wkr_1')).toThrow(expect.objectContaining({ code: 'fence_stale' }));
    state = advance(claim(state, T0 + 60_000, 2), T0 + 90_000);
    expect(state).toMatchObject({ status: 'queued', charged: 2, ran_ms: 80_000 });
    state = advance(claim(state, T0 + 90_000, 3), T0 + 200_000);
    expect(state).toMatchObject({ status: 'failed', error: { code: 'timeout' }, ran_ms: 100_000 });
  });

  it('gives up at the cap and names the last reason', () => {
    let state = created({ max_attempts: 2 });
    state = life.fail(claim(state, T0), error, true, T0 + 10, nextDispatch());
    expect(state).toMatchObject({ status: 'queued', error: { code: 'computation_crashed', attempt: 1 } });
    state = life.fail(claim(state, T0 + 20, 2), error, true, T0 + 30, nextDispatch());
    expect(state).toMatchObject({
      status: 'failed',
      error: { code: 'attempts_exhausted', attempt: 2, detail: expect.stringContaining('computation_crashed: broke') },
    });
  });

  it('says with its error which values of the params were wrong', () => {
    const errors = [{ pointer: '/params/texts/3', code: 'data_invalid', detail: 'no tokens' }];
    const wrong = { code: 'data_invalid', detail: 'no tokens', errors };
    const failed = life.fail(claim(created({ max_attempts: 1 }), T0), wrong, false, T0 + 10, nextDispatch());
    expect(failed).toMatchObject({ status: 'failed', error: { code: 'data_invalid', errors, attempt: 1 } });
    const spent = life.fail(claim(created({ max_attempts: 1 }), T0), wrong, true, T0 + 10, nextDispatch());
    expect(spent).toMatchObject({ status: 'failed', error: { code: 'attempts_exhausted', errors } });
  });

  it('that fails is followed by the next one after a pause that doubles, a lost lease at once', () => {
    let state = created({ max_attempts: 10, timeout_ms: 1e9 });
    const pauses: number[] = [];
    for (let i = 0; i < 9; i += 1) {
      state = life.fail(claim(state, T0), error, true, T0 + 10, nextDispatch());
      pauses.push(state.dispatch.next_send_at - (T0 + 10));
    }
    expect(pauses).toEqual([1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000]);
    const lost = advance(claim(created(), T0), T0 + timing.lease_ms);
    expect(life.sendIsDue(lost, T0 + timing.lease_ms)).toBe(true);
  });

  it('that is released does not count, but what it ran does', () => {
    let state = created({ max_attempts: 1 });
    for (let i = 0; i < 4; i += 1) {
      state = life.release(claim(state, T0 + i * 20_000, i), T0 + i * 20_000 + 10_000, nextDispatch());
    }
    expect(state).toMatchObject({ status: 'queued', charged: 0, claims: 4, ran_ms: 40_000 });
    expect(life.remainingSeconds(state, T0 + 1e6)).toBe(60);
  });
});

describe('an outage of the ledger', () => {
  it('prolongs a lease once that nobody could renew, and ends one that stays silent', () => {
    const running = claim(created(), T0);
    const back = advance(running, T0 + timing.lease_ms + 6000);
    expect(back).toMatchObject({ status: 'running', attempt: { lease_until: T0 + 2 * timing.lease_ms + 6000 } });
    expect(claims.heartbeat(back, null, T0 + 40_000, timing).attempt).not.toHaveProperty('excused');
    expect(advance(back, T0 + 3 * timing.lease_ms)).toMatchObject({ status: 'queued', error: { code: 'lease_lost' } });
  });

  it('leaves the worker of a last attempt the length of a lease to come back', () => {
    const running = claim(created({ max_attempts: 1 }), T0);
    expect(advance(running, T0 + timing.lease_ms + 500)).toBe(running);
    expect(life.nextChange(running)).toBe(T0 + 2 * timing.lease_ms);
    expect(advance(running, T0 + 2 * timing.lease_ms)).toMatchObject({ error: { code: 'attempts_exhausted' } });
  });

  it('counts an attempt that is taken up again as one, and what it ran meanwhile', () => {
    const lost = advance(claim(created(), T0), T0 + timing.lease_ms);
    expect(lost).toMatchObject({ status: 'queued', ran_ms: timing.lease_ms, charged: 1 });
    const up = claims.takeUp(lost);
    expect(up).toMatchObject({ status: 'running', ran_ms: 0, charged: 1, claims: 1, error: null });
    expect(life.remainingSeconds(up, T0 + 40_000)).toBe(60);
    expect(claims.isLapsed(claim(lost, T0 + 31_000, 2), 'fence_1', 'wkr_1')).toBe(false);
  });
});

describe('a clock that was 25 h ahead', () => {
  const ahead = T0 + 25 * 3_600_000;
  it('keeps no job waiting for a time that its schedule does not allow', () => {
    const queued = life.sent(created({ queue_ttl_ms: 1e12 }), ahead, timing);
    expect(life.sendIsDue(advance(queued, T0 + 1), T0 + 1)).toBe(true);
    const running = advance(claim(created(), ahead), T0 + 1);
    expect(running.attempt).toMatchObject({ started_at: T0 + 1, lease_until: T0 + 1 + timing.lease_ms });
    expect(life.nextChange(running)).toBe(T0 + 1 + timing.lease_ms);
  });
});

describe('timeout_s', () => {
  it('counts running time over all attempts, not the time in between', () => {
    let state = life.fail(claim(created(), T0), error, true, T0 + 60_000, nextDispatch());
    state = claim(state, T0 + 500_000, 2);
    expect(life.remainingSeconds(state, T0 + 500_000)).toBe(40);
    for (let now = T0 + 500_000; now < T0 + 539_000; now += 1000) {
      state = claims.heartbeat(state, null, now, timing);
    }
    expect(advance(state, T0 + 539_999)).toBe(state);
    expect(advance(state, T0 + 540_000)).toMatchObject({
      status: 'failed',
      error: { code: 'timeout' },
      ran_ms: 100_000,
    });
  });
});

describe('terminal states', () => {
  const ended = [
    life.cancel(created(), T0 + 1),
    life.fail(claim(created(), T0), error, false, T0 + 1, 'dsp_x'),
    life.succeed(
      life.seal(claim(created(), T0)),
      {
        result: {},
        result_digest: '',
        metrics: {},
        run: { device: '', dtype: '', seed: null, tolerance: null, versions: {}, wall_s: 0, peak_rss_bytes: 0 },
        artefacts: [],
        published: [],
      },
      T0 + 1,
    ),
  ];
  it.each(ended.map((state) => [state.status, state] as const))('%s never changes', (status, state) => {
    expect(advance(state, T0 + 1e12)).toBe(state);
    expect(life.nextChange(state)).toBeNull();
    expect(life.sendIsDue(state, T0 + 1e12)).toBe(false);
    expect(life.deadLetter(state, state.dispatch.id, T0 + 2)).toBe(state);
    expect(() => claim(state, T0 + 2)).toThrow(expect.objectContaining({ code: 'job_terminal' }));
    if (status === 'canceled') {
      expect(life.cancel(state, T0 + 2)).toBe(state);
    } else {
      expect(() => life.cancel(state, T0 + 2)).toThrow(expect.objectContaining({ code: 'job_terminal' }));
    }
    if (state.attempt) {
      expect(() => claims.holdingAlive(state, 'fence_1', 'wkr_1')).toThrow(
        expect.objectContaining({ code: 'job_terminal' }),
      );
    }
  });
});

describe('a sealed job', () => {
  it('cannot be canceled, time out or lose its lease any more', () => {
    const state = life.seal(claim(created(), T0));
    expect(advance(state, T0 + 1e12)).toBe(state);
    expect(() => life.cancel(state, T0 + 2)).toThrow(expect.objectContaining({ code: 'job_terminal' }));
  });
});

describe('a dead letter', () => {
  it('counts only for a job that waits for exactly that dispatch', () => {
    const queued = created();
    expect(life.deadLetter(queued, 'dsp_0', T0 + 1)).toMatchObject({
      status: 'failed',
      error: { code: 'dead_letter' },
    });
    expect(life.deadLetter(queued, 'dsp_other', T0 + 1)).toBe(queued);
    const running = claim(queued, T0);
    expect(life.deadLetter(running, 'dsp_0', T0 + 1)).toBe(running);
  });
});
