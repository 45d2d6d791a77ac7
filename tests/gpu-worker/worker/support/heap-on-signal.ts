/** Preloaded into a computing process: SIGUSR2 writes what its heap holds to the file that HEAP_FILE names. */
import { renameSync } from 'node:fs';
import { writeHeapSnapshot } from 'node:v8';

const file = process.env.HEAP_FILE;
process.on('SIGUSR2', () => {
  if (file) {
    renameSync(writeHeapSnapshot(`${file}.part`), file);
  }
});
