/** What tools make of schemas: each is brought into the form that means the same to all of them. */
export type Schema = { [keyword: string]: unknown };

const isSchema = (value: unknown): value is Schema =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Keywords whose value is a schema, a list of schemas, and schemas by name. */
const [ONE, LISTS, NAMED] = [
  ['items', 'additionalProperties', 'propertyNames', 'not', 'contains'],
  ['anyOf', 'oneOf', 'allOf', 'prefixItems'],
  ['properties', 'patternProperties'],
];

/** Visits a schema and everything inside it. */
export function eachSchema(schema: unknown, visit: (schema: Schema) => void): void {
  if (!isSchema(schema)) {
    return;
  }
  visit(schema);
  for (const keyword of ONE) {
    eachSchema(schema[keyword], visit);
  }
  for (const keyword of LISTS) {
    for (const one of (schema[keyword] as unknown[] | undefined) ?? []) {
      eachSchema(one, visit);
    }
  }
  for (const keyword of NAMED) {
    for (const one of Object.values((schema[keyword] as object | undefined) ?? {})) {
      eachSchema(one, visit);
    }
  }
}

/** Names of the components that a schema refers to, directly or through others. */
export function componentsOf(schema: unknown, components: Readonly<Record<string, Schema>>, found: Set<string>): void {
  eachSchema(schema, ({ $ref }) => {
    const name = typeof $ref === 'string' ? ($ref.split('/').at(-1) ?? '') : '';
    if (name !== '' && !found.has(name)) {
      found.add(name);
      componentsOf(components[name], components, found);
    }
  });
}

const LONGEST_DEFAULT = 80;

/**
 * A default of a request is said in words and as `x-default`: generators of types, openapi-typescript among them, take a
 * property with `default` for one that is always there, and so demand what may be left out.
 */
export function defaultInWords(schema: Schema): void {
  if (!('default' in schema)) {
    return;
  }
  const { default: value, description } = schema;
  delete schema.default;
  schema['x-default'] = value;
  const text = JSON.stringify(value);
  if (text.length <= LONGEST_DEFAULT) {
    schema.description = typeof description === 'string' ? `${description}; default: ${text}` : `default: ${text}`;
  }
}

/** A list of fixed places says that nothing follows them, and how many there are. */
export function closedPlaces(schema: Schema): void {
  const places = schema.prefixItems;
  if (Array.isArray(places) && !('items' in schema)) {
    Object.assign(schema, { items: {}, minItems: places.length, maxItems: places.length });
  }
}
