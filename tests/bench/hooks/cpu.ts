/** CPU time of the workerd processes below one process. */
import { readdirSync, readFileSync } from 'node:fs';
import { jiffies } from '../lookup/process.ts';

const childrenOf = (pid: number): number[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((child) => {
      try {
        const stat = readFileSync(`/proc/${child}/stat`, 'utf8');
        return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) === pid;
      } catch {
        return false; // it ended while we looked
      }
    });

const isWorkerd = (pid: number): boolean => readFileSync(`/proc/${pid}/comm`, 'utf8').trim() === 'workerd';

/** Of the workerd that `pid` started itself; in hundredths of a second. */
export const descendantJiffies = (pid: number): number =>
  childrenOf(pid)
    .filter(isWorkerd)
    .reduce((sum, child) => sum + jiffies(child), 0);
