/** Preloaded into a computing process: prints a line of a log that is not its own, and writes what is no message. */
import { writeSync } from 'node:fs';

console.log('{"level":"info","event":"completed","forged":true}');
setTimeout(() => writeSync(4, 'what is no message\n'), 1500);
