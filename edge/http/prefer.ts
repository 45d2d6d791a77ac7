/** `Prefer: wait=n` (RFC 7240): how long a client is willing to wait for a job to end. */
const LONGEST_S = 60;

/** Seconds to wait, at most 60; null where the header does not ask for it. */
export function preferredWait(header: string | null): number | null {
  const match = /(?:^|[,;\s])wait\s*=\s*"?(\d+)"?(?=$|[,;\s])/i.exec(header ?? '');
  return match ? Math.min(LONGEST_S, Number(match[1])) : null;
}
