import { tableFromArrays, tableToIPC } from '@uwdata/flechette';
import { describe, expect, it } from 'vitest';
import { type Client, newClient, problemOf } from '../support/client.ts';
import { gated } from '../support/predictors.ts';

const ARROW = 'application/vnd.apache.arrow.stream';
const arrow = tableToIPC(tableFromArrays({ x: Float64Array.of(1, 2, 3), c: ['a', 'a', 'b'] }), { format: 'stream' })!;
/** The schema message alone: a stream may end there, and then has columns but no rows. */
const schemaOnly = arrow.slice(0, 8 + new DataView(arrow.buffer, arrow.byteOffset).getInt32(4, true));
/** Where the predictor takes tables. */
async function pathOf(client: Client): Promise<string> {
  const created = await client.call('POST', '/v1/fairness/predictors', { body: gated });
  return `${created.headers.get('location')}/predictions`;
}

describe('tables to predict for', () => {
  it.each([
    ['column_missing', '/columns', 'z\n1\n', 'text/csv'],
    ['csv_malformed', '/delimiter', 'x;c\n1;a\n', 'text/csv'],
    ['csv_malformed', '/lines/3', 'x,c\n1,a\n1\n', 'text/csv'],
    ['csv_malformed', '', '', 'text/csv'],
    ['csv_malformed', '', Uint8Array.of(0x78, 0x2c, 0xff, 0x0a, 0x31, 0x2c, 0x31), 'text/csv'],
    ['table_empty', '', 'x,c\n', 'text/csv'],
    ['columns_malformed', '/columns/x', 'x,c,x\n1,a,2\n', 'text/csv'],
    ['value_not_finite', '/columns/x', 'x,c\nfoo,a\n', 'text/csv'],
    ['value_not_finite', '/columns/x/1', 'x,c\n1,a\n,a\n', 'text/csv'],
    ['group_unknown', '/columns/c/0', 'x,c\n1,q\n', 'text/csv'],
    ['table_too_large', '/columns', `${Array.from({ length: 10_000 }, (_, i) => `c${i}`).join(',')}\n`, 'text/csv'],
    ['arrow_malformed', '', 'x,c\n1,a\n', ARROW],
    ['arrow_malformed', '', '', ARROW],
    ['arrow_malformed', '', new Uint8Array(300), ARROW],
    ['arrow_malformed', '', arrow.slice(0, -60), ARROW],
    ['table_empty', '', schemaOnly, ARROW],
    ['columns_malformed', '/columns/c', '{"columns":{"x":[1,2],"c":["a"]}}', 'application/json'],
    ['columns_malformed', '/columns/x/1', '{"columns":{"x":[1,1e999],"c":["a","a"]}}', 'application/json'],
    ['table_empty', '/columns', '{"columns":{"x":[],"c":[]}}', 'application/json'],
    ['table_empty', '/columns', '{"columns":{}}', 'application/json'],
  ])('are refused where they cannot be read: %s at "%s"', async (code, pointer, body, type) => {
    const client = await newClient();
    const path = await pathOf(client);
    const answer = await client.call('POST', path, { body, headers: { 'content-type': type } });
    expect(await problemOf(answer)).toMatchObject({ code: 'data_invalid', errors: [{ code, pointer }] });
  });

  it('are CSV in UTF-8 alone', async () => {
    const client = await newClient();
    const path = await pathOf(client);
    const call = (type: string) => client.call('POST', path, { body: 'x,c\n1,a\n', headers: { 'content-type': type } });
    expect((await call('text/csv; charset=UTF-8')).status).toBe(200);
    expect((await problemOf(await call('text/csv; charset=latin1'))).code).toBe('media_type_unsupported');
  });
});
