/** One running service per data folder: two would write one database. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const LOCK = 'running.json';

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // a process of somebody else is alive too
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
};

/** Takes the folder for this process, from a dead one too; gives what lets go of it. Raises an Error that names the holder. */
export function takeDataFolder(data: string, port: number): () => void {
  mkdirSync(data, { recursive: true });
  const file = join(data, LOCK);
  for (;;) {
    try {
      writeFileSync(file, JSON.stringify({ pid: process.pid, port }), { flag: 'wx' });
      return () => rmSync(file, { force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') {
        throw error;
      }
    }
    const holder = readHolder(file);
    if (holder && isAlive(holder.pid)) {
      throw new Error(
        `a service with process id ${holder.pid} runs on ${data} already, at port ${holder.port}; stop it, or name another folder by --data`,
      );
    }
    rmSync(file, { force: true });
  }
}

function readHolder(file: string): { pid: number; port: number } | null {
  try {
    const { pid, port } = JSON.parse(readFileSync(file, 'utf8')) as { pid?: unknown; port?: unknown };
    return typeof pid === 'number' && typeof port === 'number' ? { pid, port } : null;
  } catch {
    // half written by a process that was killed, or gone by now
    return null;
  }
}
