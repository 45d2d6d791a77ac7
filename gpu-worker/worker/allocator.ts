/**
 * Environment of a computation's process, for glibc's allocator: blocks of a megabyte and more come from the system and go back
 * to it. By itself it soon keeps such blocks in heaps, one for each thread, that what lives longer cuts into pieces: a job that
 * goes through a model block by block then holds twice what it uses.
 */
export const ALLOCATOR = { MALLOC_MMAP_THRESHOLD_: String(2 ** 20) };

/**
 * Arguments of such a process: V8 keeps at most 24 MiB for objects that soon die. By itself it lets them have 96 after an hour of
 * work, though they live no longer than at its beginning.
 */
export const YOUNG_OBJECTS = ['--max-semi-space-size=8'];
