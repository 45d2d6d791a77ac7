/**
 * A table with group labels is audited, fails a job, and is deleted: while it is there, no answer quotes a cell of a column that
 * nobody asked for; afterwards no store of the edge and of the worker's host, and no log, holds a cell of it.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { sha256Hex } from '../../shared/signing/digest.ts';
import { until } from '../support/until.ts';
import { Stack, type Worker } from './support/stack.ts';

const stack = new Stack();
let worker: Worker;
beforeAll(async () => {
  await stack.start();
  worker = await stack.startWorker();
}, 300_000);
afterAll(() => stack.stop());

/** Words that occur nowhere else; the first two are levels of the group that is asked for, the third of a column that is not. */
const [ONE, OTHER, UNASKED] = ['canaryquokka', 'canarynumbat', 'canarybilby'];
const ROWS = 240;
const cells = Array.from({ length: ROWS }, (_, i) => ({
  score: ((i * 37) % 100) / 100,
  group: i % 2 ? ONE : OTHER,
  diagnosis: `${UNASKED}${i % 7}`,
}));
const csv = `score,group,diagnosis\n${cells.map((row) => Object.values(row).join(',')).join('\n')}\n`;

async function upload(): Promise<string> {
  const content = new TextEncoder().encode(csv);
  const body = { name: 'people.csv', sha256: await sha256Hex(content), bytes: content.length, media_type: 'text/csv' };
  const { id, upload } = (await (await stack.call('POST', '/v1/artefacts', { body })).json()) as {
    id: string;
    upload: { url: string };
  };
  expect((await fetch(upload.url, { method: 'PUT', body: content })).ok).toBe(true);
  expect((await stack.call('POST', `/v1/artefacts/${id}/commit`)).status).toBe(200);
  return id;
}

/** Everything that is answered of a job: itself, its events and its artefacts. */
async function answersOf(id: string): Promise<string> {
  const job = await stack.job(id);
  const parts = [JSON.stringify(job), await (await stack.call('GET', `/v1/jobs/${id}/events`)).text()];
  for (const artefact of job.artefacts) {
    parts.push(await (await stack.call('GET', `/v1/artefacts/${artefact.id}`)).text());
  }
  return parts.join('\n');
}

/** What lies in a file; nothing in one that has gone since it was listed. */
function bytesOf(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      return Buffer.alloc(0);
    }
    throw error;
  }
}

/** Files of the stack that hold one of the words, in UTF-8 or UTF-16: databases with their free pages and journals too. */
function filesWith(words: readonly string[]): string[] {
  return readdirSync(stack.data, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name))
    .filter((file) => {
      const bytes = bytesOf(file);
      return words.some((word) => bytes.includes(word) || bytes.includes(Buffer.from(word, 'utf16le')));
    });
}

it('leaves no cell behind, and quotes none of an unasked column', async () => {
  const table = await upload();
  const columns = {
    score: cells.map(({ score }) => score),
    group: cells.map(({ group }) => group),
    diagnosis: cells.map(({ diagnosis }) => diagnosis),
  };
  const options = { prediction: 'score', groups: ['group'], draws: 50, permutations: 10 };
  const audited = await stack.postJob('fairness.audit', { table: { artefact: table }, ...options });
  const inline = await stack.postJob('fairness.audit', { table: { columns }, ...options });
  // A group that is no number as the prediction: the answer may say so, and of which column.
  const failing = await stack.postJob('fairness.audit', {
    table: { artefact: table },
    ...options,
    prediction: 'group',
    groups: ['score'],
  });
  expect((await stack.ended(audited)).status).toBe('succeeded');
  expect((await stack.ended(inline)).status).toBe('succeeded');
  expect((await stack.ended(failing)).status).toBe('failed');

  const held = filesWith([ONE]).map((file) => file.slice(stack.data.length + 1).split('/')[0]);
  expect(held, 'the words can be found on both sides while they are there').toEqual(
    expect.arrayContaining(['edge', worker.id]),
  );
  for (const id of [audited, inline]) {
    const told = await answersOf(id);
    expect(told).toContain(ONE);
    expect(told).not.toContain(UNASKED);
    for (const { kind, id: report } of (await stack.job(id)).published) {
      expect(kind).toBe('report');
      expect(await (await stack.call('GET', `/v1/reports/${report}`)).text()).not.toContain(UNASKED);
      expect((await stack.call('DELETE', `/v1/reports/${report}`)).status).toBe(204);
    }
  }
  expect(await answersOf(failing)).not.toContain(UNASKED);

  for (const id of [audited, inline, failing]) {
    expect((await stack.call('DELETE', `/v1/jobs/${id}`)).status).toBe(204);
    expect((await stack.call('GET', `/v1/jobs/${id}`)).status).toBe(404);
  }
  const removed = await stack.call('DELETE', `/v1/artefacts/${table}`);
  expect([204, 404]).toContain(removed.status);

  // The worker asks what was deleted every 20 seconds.
  const words = [ONE, OTHER, UNASKED];
  let holding: string[] = [];
  const clean = () => {
    holding = filesWith(words);
    return holding.length === 0;
  };
  await until(clean, 'every store to be clean', 70_000).catch((error: Error) => {
    throw new Error(`${error.message}: ${holding.join(', ')}`);
  });
  for (const word of words) {
    expect(worker.log).not.toContain(word);
    expect(stack.edgeLog).not.toContain(word);
  }
}, 240_000);
