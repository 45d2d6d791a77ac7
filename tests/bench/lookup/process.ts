/** CPU time of processes, from /proc. */
import { readdirSync, readFileSync } from 'node:fs';

const statOf = (pid: number): string[] => {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // the command in parentheses may hold spaces
  return text.slice(text.lastIndexOf(')') + 2).split(' ');
};

/** User and system time of a process so far, in hundredths of a second. */
export const jiffies = (pid: number): number => {
  const fields = statOf(pid);
  return Number(fields[11]) + Number(fields[12]);
};

/** The workerd below `parent` that was told to listen on `port`, or else its youngest. */
export function workerdOf(parent: number, port: number): number {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  const children = pids.map(Number).filter((pid) => {
    try {
      const name = readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
      return name === 'workerd' && Number(statOf(pid)[1]) === parent;
    } catch {
      return false; // it ended while we looked
    }
  });
  const listening = children.find((pid) => readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(`:${port}`));
  const found = listening ?? children.sort((a, b) => a - b).at(-1);
  if (found === undefined) {
    throw new Error('no workerd process was found');
  }
  return found;
}
