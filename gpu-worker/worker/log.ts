/** Takes one line of the worker's log: what happened, and the particulars. */
export type Log = (event: string, fields: Record<string, unknown>) => void;
