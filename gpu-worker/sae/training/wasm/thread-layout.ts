/** Where commands lie in the memory that the pool's threads share: a control block, then arguments per thread. */

/** Indices of 32-bit words in the control block. */
export const COMMAND = 0;
export const DONE = 1;
export const KERNEL = 2;
/** Bytes of the control block and of one thread's arguments: their number, then the values, as float64. */
export const SLOT = 256;
export const argumentsOf = (memory: { buffer: ArrayBufferLike }, thread: number): Float64Array =>
  new Float64Array(memory.buffer, SLOT * (1 + thread), SLOT / 8);
