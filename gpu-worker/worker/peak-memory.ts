/** The largest resident memory of this process since an order began; orders that overlap share one count. */
import { readFileSync, writeFileSync } from 'node:fs';

/** Written to clear_refs it sets the peak back to the present size (proc_pid_clear_refs(5)). */
const RESET_PEAK = '5';

export class PeakMemory {
  begin(): void {
    try {
      writeFileSync('/proc/self/clear_refs', RESET_PEAK);
    } catch {
      // Where it cannot be set back it counts from the start of the process.
    }
  }

  /** Bytes. */
  peak(): number {
    try {
      const kilobytes = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
      return Number(kilobytes) * 1024;
    } catch {
      return process.resourceUsage().maxRSS * 1024;
    }
  }
}
