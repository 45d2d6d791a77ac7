/** Whether a recipe can be stored: everything that can be known before an event comes is refused here, with pointers. */
import { jsonPointer, SextantError } from '../../../shared/contracts/problem.ts';
import type { FieldError } from '../../../shared/contracts/problem-document.ts';
import type { RecipeBody, Step } from '../../../shared/contracts/recipe.ts';
import { RECIPE_LIMIT } from '../../../shared/contracts/recipe.ts';
import type { Scope } from '../../../shared/contracts/scope.ts';
import type { JobContract } from '../../../shared/jobs/contract.ts';
import { JOB_CONTRACTS } from '../../../shared/jobs/index.generated.ts';
import { withKnownFields } from '../../http/known-fields.ts';
import { fieldErrors } from '../../http/problem.ts';
import type { AccessKey } from '../../keys/access-key.ts';
import { namesAt, schemaHas } from './paths.ts';
import { parseReference, type Reference, referencesIn, replaceReferences, stepsBefore } from './references.ts';

export const contractNamed = (type: string): JobContract | undefined =>
  Object.hasOwn(JOB_CONTRACTS, type) ? JOB_CONTRACTS[type] : undefined;

/** Scopes that a key must hold to store the recipe, and that its runs act with. */
export const scopesNeeded = (body: RecipeBody): Scope[] => [
  ...new Set(['jobs:write' as Scope, ...body.steps.flatMap(({ type }) => contractNamed(type)?.scope ?? [])]),
];

/** Raises `validation_failed` with every fault: steps, types, fields, references, result paths, cycles. */
export function checkRecipe(body: RecipeBody): void {
  if (JSON.stringify(body).length > RECIPE_LIMIT) {
    throw new SextantError('validation_failed', `a recipe has at most ${RECIPE_LIMIT} characters`);
  }
  const errors = [...repeatedIds(body), ...body.steps.flatMap((step, i) => stepFaults(body, step, ['steps', i]))];
  if (errors.length === 0) {
    errors.push(...cycles(body));
  }
  const [first] = errors;
  if (!first) {
    return;
  }
  const more = errors.length > 1 ? ` (and ${errors.length - 1} more)` : '';
  throw new SextantError('validation_failed', `${first.pointer}: ${first.detail}${more}`, { errors });
}

const repeatedIds = ({ steps }: RecipeBody): FieldError[] =>
  steps.flatMap(({ id }, i) =>
    steps.findIndex((other) => other.id === id) < i
      ? [{ pointer: jsonPointer(['steps', i, 'id']), code: 'step_repeated', detail: `there is a step ${id} already` }]
      : [],
  );

function stepFaults(body: RecipeBody, step: Step, at: readonly PropertyKey[]): FieldError[] {
  const contract = contractNamed(step.type);
  if (!contract) {
    return [
      {
        pointer: jsonPointer([...at, 'type']),
        code: 'job_type_unknown',
        detail: `there is no job type '${step.type}'; the types are ${Object.keys(JOB_CONTRACTS).join(', ')}`,
      },
    ];
  }
  const needs = step.needs.flatMap((name, i) =>
    body.steps.some(({ id }) => id === name)
      ? []
      : [{ pointer: jsonPointer([...at, 'needs', i]), code: 'step_unknown', detail: unknownStep(body, name) }],
  );
  const references = [
    ...referencesIn(step.params, [...at, 'params']),
    ...(Array.isArray(step.over) ? [] : referencesIn(step.over, [...at, 'over'])),
  ];
  const faults = references.flatMap(({ text, pointer }): FieldError[] => {
    const reference = parseReference(text);
    const fault = 'fault' in reference ? reference.fault : referenceFault(body, step, reference);
    return fault ? [{ pointer, code: 'reference_invalid', detail: fault }] : [];
  });
  return [...needs, ...faults, ...paramFaults(contract, step, at)];
}

const unknownStep = ({ steps }: RecipeBody, name: string): string =>
  `there is no step ${name}; the steps are ${steps.map(({ id }) => id).join(', ')}`;

function referenceFault(body: RecipeBody, step: Step, reference: Reference): string | null {
  if (reference.root === 'event') {
    return null;
  }
  if (reference.root === 'item') {
    return step.over === undefined ? 'item is an entry of the list in `over`, which this step has not' : null;
  }
  const target = body.steps.find(({ id }) => id === reference.step);
  if (!target) {
    return unknownStep(body, reference.step);
  }
  const contract = contractNamed(target.type);
  if (!contract) {
    return null;
  }
  const { part, path } = reference;
  const isIndex = (text: string | undefined): boolean => text !== undefined && /^\d{1,4}$/.test(text);
  if (part === 'artefacts') {
    return path.length === 0 || (path.length === 1 && isIndex(path[0]))
      ? null
      : 'artefacts are a list of ids: take all, or one by its place from 0';
  }
  if (part === 'published') {
    const [kind, place] = path;
    if (path.length === 0 || (path.length === 1 && isIndex(kind))) {
      return null;
    }
    if (!contract.produces.some((one) => one === kind)) {
      return `${target.type} publishes ${contract.produces.join(', ') || 'nothing'}, no ${kind}`;
    }
    return path.length === 1 || (path.length === 2 && isIndex(place))
      ? null
      : 'say published.<kind> or published.<kind>.<place>';
  }
  if (schemaHas(contract.result, path)) {
    return null;
  }
  const names = namesAt(contract.result, path.slice(0, -1));
  return `the result of ${target.type} has no ${path.join('.')}${names.length > 0 ? `; there is ${names.join(', ')}` : ''}`;
}

/** What takes a reference's place while the rest of the params is checked. */
class Placeholder {}

/** Faults of the params, leaving out what is only a reference's value not being known yet. */
function paramFaults(contract: JobContract, step: Step, at: readonly PropertyKey[]): FieldError[] {
  const parsed = contract.params.safeParse(replaceReferences(step.params, () => new Placeholder()));
  if (parsed.success) {
    return [];
  }
  const open = referencesIn(step.params).map(({ pointer }) => pointer);
  const known = withKnownFields(fieldErrors(parsed.error.issues), contract.params, step.params);
  return known
    .filter((error) => error.code === 'unknown_field' || !open.some((pointer) => isAt(error.pointer, pointer)))
    .map((error) => ({ ...error, pointer: `${jsonPointer([...at, 'params'])}${error.pointer}` }));
}

/** A choice among forms shows its misfit at the choice itself, above the reference that it hangs on. */
const isAt = (pointer: string, reference: string): boolean =>
  pointer === reference || pointer.startsWith(`${reference}/`);

function cycles({ steps }: RecipeBody): FieldError[] {
  const before = new Map(steps.map((step) => [step.id, stepsBefore(step)]));
  const done = new Set<string>();
  for (let grew = true; grew; ) {
    grew = false;
    for (const [id, needs] of before) {
      if (!done.has(id) && needs.every((one) => done.has(one))) {
        done.add(id);
        grew = true;
      }
    }
  }
  return steps.flatMap(({ id }, i) =>
    done.has(id)
      ? []
      : [
          {
            pointer: jsonPointer(['steps', i]),
            code: 'cycle',
            detail: `${id} waits for ${before
              .get(id)
              ?.filter((one) => !done.has(one))
              .join(', ')}, and so for itself`,
          },
        ],
  );
}

/** Runs act with the scopes of the key that binds a hook, so nobody stores what they could not do themselves. */
export function refuseRecipe(key: AccessKey, body: RecipeBody): void {
  const lacking = scopesNeeded(body).filter((scope) => !key.scopes.has(scope));
  if (lacking.length > 0) {
    throw new SextantError('scope_missing', `the recipe's steps need ${lacking.join(', ')}, which the API key lacks`);
  }
}
