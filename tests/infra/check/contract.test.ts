/** The committed contract says what tools need to know. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { PROBLEMS } from '../../../shared/contracts/problem.ts';
import { JOB_CONTRACTS } from '../../../shared/jobs/index.generated.ts';

type Schema = Record<string, unknown>;
type Operation = {
  operationId?: string;
  description?: string;
  tags?: string[];
  requestBody?: { content: Record<string, { schema: Schema; examples?: Record<string, { value: unknown }> }> };
  responses: Record<string, { headers?: Schema; content?: Record<string, { examples?: Record<string, Schema> }> }>;
};
const contract = JSON.parse(readFileSync(join(import.meta.dirname, '../../../openapi.json'), 'utf8')) as {
  info: { license: Schema };
  tags: { name: string }[];
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, Schema>; examples: Record<string, { value: Schema }>; headers: Schema };
};
const operations = Object.values(contract.paths).flatMap((item) => Object.values(item));
const types = Object.keys(JOB_CONTRACTS);
const schemaOf = (name: string) => contract.components.schemas[name] as Schema;

it('names every operation once, with tags that are explained', () => {
  const ids = operations.map(({ operationId }) => operationId);
  expect(ids.every((id) => /^[a-z][A-Za-z]+$/.test(id ?? ''))).toBe(true);
  expect(new Set(ids).size).toBe(ids.length);
  expect(ids).toEqual(expect.arrayContaining(['createJob', 'listJobs', 'readJob', 'cancelJob', 'rotateKey']));
  const tags = new Set(contract.tags.map(({ name }) => name));
  expect(operations.flatMap((one) => one.tags ?? []).filter((tag) => !tags.has(tag))).toEqual([]);
  expect(contract.info.license).toEqual({ name: 'MIT', identifier: 'MIT' });
});

it.each(['CreateJob', 'Job'])('tells the alternatives of %s apart by their type', (name) => {
  const { discriminator, oneOf } = schemaOf(name) as {
    discriminator: { propertyName: string; mapping: Record<string, string> };
    oneOf: unknown[];
  };
  expect(discriminator.propertyName).toBe('type');
  expect(Object.keys(discriminator.mapping).sort()).toEqual([...types].sort());
  expect(oneOf).toHaveLength(types.length);
});

it('types the result of every job type', () => {
  const { allOf } = schemaOf('Job_lm_train') as { allOf: { properties?: Record<string, Schema> }[] };
  const result = allOf.at(-1)?.properties?.result as { properties: Schema };
  expect(result.properties).toHaveProperty('held_out_loss');
});

it('has an example for every job type and every error', () => {
  const create = contract.paths['/v1/jobs']?.post?.requestBody?.content['application/json'];
  expect(Object.keys(create?.examples ?? {}).sort()).toEqual([...types].sort());
  expect(Object.keys(contract.components.examples).sort()).toEqual(Object.keys(PROBLEMS).sort());
  const errors = operations.flatMap(({ responses }) =>
    Object.entries(responses).filter(([status]) => Number(status) >= 400),
  );
  const without = errors.filter(([, { content }]) => {
    const problem = content?.['application/problem+json'];
    return problem && Object.keys(problem.examples ?? {}).length === 0;
  });
  expect(without).toEqual([]);
});

it('lets a client leave out what has a default', () => {
  const properties = (schemaOf('CreateJob_lm_train') as { properties: Record<string, Schema> }).properties;
  expect(properties.timeout_s).toMatchObject({ 'x-default': 3600 });
  expect(properties.timeout_s).not.toHaveProperty('default');
});

it('closes the codes of errors', () => {
  const { code } = (schemaOf('Problem') as { properties: Record<string, { enum?: string[] }> }).properties;
  expect([...(code?.enum ?? [])].sort()).toEqual(Object.keys(PROBLEMS).sort());
});

it('says the headers of answers', () => {
  const responses = contract.paths['/v1/jobs']?.post?.responses;
  expect(Object.keys(responses?.['202']?.headers ?? {})).toEqual(
    expect.arrayContaining(['location', 'x-request-id', 'ratelimit', 'idempotency-replayed', 'preference-applied']),
  );
  expect(Object.keys(responses?.['429']?.headers ?? {})).toContain('retry-after');
});
