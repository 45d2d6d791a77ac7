/** Where a job takes a table from, and what a result says it understood of it. */
import { z } from 'zod';
import { columnNameSchema, distinctNamesSchema } from './column-name.ts';
import { longArray } from './long-array.ts';
import { randomIdSchema } from './manifest.ts';

/** Columns whose cells are labels even where they look like numbers. */
const textColumns = z
  .array(columnNameSchema)
  .max(1000)
  .default([])
  .describe(
    'columns to read as text: 01 and 1 are two labels; groups, labels with a `positive` and categories always are',
  );

const delimiterSchema = z
  .union([z.string().length(1), z.literal('blanks')])
  .describe('one character, or `blanks` for runs of spaces and tabs');
const namesSchema = z.array(columnNameSchema).max(1000).describe('columns of a CSV file without a header line');
const missingSchema = z.array(z.string().max(100)).max(50).describe('cells that mean "no value"');

/** A parameter of a query string that may be given several times. */
const repeated = (values: typeof namesSchema | typeof missingSchema) =>
  z.union([z.string().transform((one) => [one]), z.array(z.string())]).pipe(values);
/** How a CSV body is read, as parameters of a query string: the same options that a job's table has. */
export const csvQuerySchema = z.strictObject({
  delimiter: delimiterSchema.optional(),
  names: repeated(namesSchema).optional(),
  trim: z
    .enum(['true', 'false'])
    .transform((word) => word === 'true')
    .optional()
    .describe('drop blanks around fields'),
  missing: repeated(missingSchema).optional(),
});
export type CsvQuery = z.output<typeof csvQuerySchema>;

export const tableSourceSchema = z.union([
  z
    .strictObject({
      columns: z.record(
        columnNameSchema,
        longArray(z.union([z.number(), z.string().max(10_000), z.boolean(), z.null()])),
      ),
      text: textColumns,
    })
    .describe('cells by column, in the request itself'),
  z
    .strictObject({
      artefact: randomIdSchema('art'),
      format: z.enum(['csv', 'arrow']).default('csv'),
      delimiter: delimiterSchema.default(','),
      names: namesSchema.optional(),
      trim: z.boolean().default(false).describe('drop blanks around fields'),
      text: textColumns,
      missing: missingSchema.optional(),
    })
    .describe('an uploaded table; it is deleted 24 h after the job ends'),
]);
export type TableSource = z.output<typeof tableSourceSchema>;

export const tableInput = (source: TableSource) =>
  'artefact' in source ? [{ id: source.artefact, pointer: '/table/artefact' }] : [];

/** The schema that was inferred; nothing about the table is decided without being shown here. */
const columnSchemaSchema = z.object({
  name: z.string(),
  kind: z.enum(['number', 'category']),
  missing: z.number(),
  minimum: z.number().optional(),
  maximum: z.number().optional(),
  levels: z.number().optional(),
  examples: z.array(z.string()).optional(),
});
export const tableReportSchema = z.object({
  rows: z.number(),
  used_rows: z.number().describe('rows without a missing value in a column that needs one'),
  columns: z.array(columnSchemaSchema),
  data_digest: z.string(),
});
export type TableReport = z.output<typeof tableReportSchema>;

/** Columns that become features, and how. */
export const featuresSchema = z.strictObject({
  columns: distinctNamesSchema.min(1).max(1000).describe('in this order'),
  categorical: z.array(columnNameSchema).max(1000).default([]).describe('numeric columns to treat as categories'),
  drop_first: z.boolean().default(false).describe('leave out the first level of every category'),
  missing: z
    .enum(['drop', 'mean'])
    .default('drop')
    .describe('rows with a missing feature: dropped, or filled with the mean (levels: none)'),
});
export type Features = z.output<typeof featuresSchema>;
