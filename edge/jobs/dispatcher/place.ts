/** What a dispatcher tells of a job in line, and of its pool. */
export type Place = { ahead: number; expected_start: string | null };
export type PoolState = { waiting: number; sent: number; running: number; workers: number; oldest_wait_s: number };
