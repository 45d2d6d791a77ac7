const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Waits for a condition; the limit only decides when to give up. */
export async function until(holds: () => boolean | Promise<boolean>, what: string, limit_ms = 45_000): Promise<void> {
  for (const end = Date.now() + limit_ms; ; await sleep(50)) {
    if (await holds()) {
      return;
    }
    if (Date.now() > end) {
      throw new Error(`gave up waiting for ${what}`);
    }
  }
}
