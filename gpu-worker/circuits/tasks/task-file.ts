/**
 * Tasks in files. JSON lines: `clean`, `corrupted`, `answer`, `other` (a token or a list of tokens), and where wanted `template`
 * and `positions`; or the subject-verb layout `clean_prefix`, `patch_prefix`, `clean_answer`, `patch_answer`, `case`. CSV: the columns
 * `clean`, `corrupted`, `correct_idx`, `incorrect_idx`, where the last two are token ids (or lists of them in brackets).
 */
import { isUtf8 } from 'node:buffer';
import { z } from 'zod';
import { paramError } from '../../../shared/contracts/problem.ts';
import { readCsv } from '../../../shared/formats/csv.ts';
import { jsonLine } from '../../../shared/formats/json-line.ts';
import { columnOf, columnTexts } from '../../../shared/formats/table.ts';
import type { WrittenPair } from './pair.ts';

type TaskFormat = 'jsonl' | 'csv';

const promptSchema = z.union([z.string().min(1), z.array(z.number().int().min(0)).min(1)]);
const tokenSchema = z.union([z.string().min(1), z.number().int().min(0)]);
const tokensSchema = z.union([tokenSchema.transform((token) => [token]), z.array(tokenSchema).min(1)]);
const ownSchema = z
  .object({
    clean: promptSchema,
    corrupted: promptSchema,
    answer: tokensSchema,
    other: tokensSchema,
    template: z.union([z.string(), z.number()]).nullable().default(null),
    positions: z.record(z.string(), z.number().int()).default({}),
  })
  .transform(
    ({ template, ...rest }): WrittenPair => ({ ...rest, template: template === null ? null : String(template) }),
  );
const subjectVerbSchema = z
  .object({
    clean_prefix: z.string().min(1),
    patch_prefix: z.string().min(1),
    clean_answer: z.string().min(1),
    patch_answer: z.string().min(1),
    case: z.string().nullable().default(null),
  })
  .transform(
    (row): WrittenPair => ({
      clean: row.clean_prefix,
      corrupted: row.patch_prefix,
      answer: [row.clean_answer],
      other: [row.patch_answer],
      template: row.case,
      positions: {},
    }),
  );

/** @throws SextantError `data_invalid` with the line and what is wrong there */
export function parseTaskFile(content: Uint8Array, format: TaskFormat): WrittenPair[] {
  const pairs = format === 'csv' ? fromCsv(content) : fromLines(content);
  if (pairs.length === 0) {
    throw paramError('data_invalid', '/task', 'the task has no pairs');
  }
  return pairs;
}

function fromLines(content: Uint8Array): WrittenPair[] {
  if (!isUtf8(content)) {
    throw paramError('data_invalid', '/task', 'the task is not UTF-8');
  }
  const lines = new TextDecoder().decode(content).split('\n');
  return lines.flatMap((line, i) => {
    if (line.trim() === '') {
      return [];
    }
    const read = jsonLine(line);
    if ('wrong' in read) {
      throw paramError('data_invalid', '/task', `line ${i + 1} of the task ${read.wrong}`);
    }
    const { value: row } = read;
    const schema = typeof row === 'object' && row !== null && 'clean_prefix' in row ? subjectVerbSchema : ownSchema;
    const parsed = schema.safeParse(row);
    if (!parsed.success) {
      const { path, message } = parsed.error.issues[0]!;
      const place = path.join('/') || 'the row';
      throw paramError('data_invalid', '/task', `line ${i + 1} of the task: ${place}: ${message}`);
    }
    return [parsed.data];
  });
}

function fromCsv(content: Uint8Array): WrittenPair[] {
  const texts = ['clean', 'corrupted', 'correct_idx', 'incorrect_idx'];
  const table = readCsv(content, { read: texts, text: texts });
  const [clean, corrupted, correct, incorrect] = texts.map((name) => columnTexts(columnOf(table, name)));
  const ids = (text: string | null | undefined, row: number): number[] => {
    const found = [...(text ?? '').matchAll(/\d+/g)].map(([digits]) => Number(digits));
    if (found.length === 0 || !/^[\s\d[\](),.]*$/.test(text ?? '')) {
      throw paramError('data_invalid', '/task', `row ${row + 1} of the task: '${text}' holds no token ids`);
    }
    return found;
  };
  return Array.from({ length: table.rows }, (_, row) => ({
    clean: clean![row] ?? '',
    corrupted: corrupted![row] ?? '',
    answer: ids(correct![row], row),
    other: ids(incorrect![row], row),
    template: null,
    positions: {},
  }));
}
