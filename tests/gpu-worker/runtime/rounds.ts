/**
 * Run by `memory.test.ts` in a process of its own: creates, runs and releases a session 50 times and prints the memory
 * of the process, in MiB, before any session, at most while one is loaded, and after
 * release in early and late rounds.
 */
import * as g from '../../../gpu-worker/graph/index.ts';
import { Session } from '../../../gpu-worker/runtime/index.ts';

const SIDE = 1024;
const weights = g.constant(new Float32Array(SIDE * SIDE).fill(0.01), [SIDE, SIDE]);
const program = g.compile({ y: g.sum(g.matmul(g.input('x', [16, SIDE]), weights)) });
const x = new Float32Array(16 * SIDE).fill(1);
const resident = () => {
  globalThis.gc?.();
  return Math.round(process.memoryUsage().rss / 2 ** 20);
};
const before = resident();
let loaded = 0;
const released: number[] = [];
for (let round = 1; round <= 50; round++) {
  const session = await Session.create(program, { threads: 1 });
  await session.run({ x });
  loaded = Math.max(loaded, resident());
  await session.release();
  released.push(resident());
}
// The allocator keeps some pages for a while, so the least of ten rounds counts.
const least = (from: number, to: number) => Math.min(...released.slice(from, to));
console.log(JSON.stringify({ before, loaded, early: least(5, 15), late: least(40, 50) }));
