/** Names of operations, made from what they do to which resource: `createJob`, `listVectors`, `rotateKey`. */
type Named = { method: string; path: string /** It answers pages. */; paged: boolean };

/** Last words of an address that are done to what stands before them. */
const ACTIONS = new Set(['cancel', 'commit', 'redeliver', 'replay', 'resume', 'rotate', 'test']);
const VERBS: Readonly<Record<string, string>> = {
  get: 'read',
  post: 'create',
  put: 'put',
  patch: 'change',
  delete: 'delete',
};

const capital = (word: string): string => word.charAt(0).toUpperCase() + word.slice(1);
const camel = (segment: string): string => segment.split(/[-_.]/).filter(Boolean).map(capital).join('');
const singular = (word: string): string => word.replace(/ies$/, 'y').replace(/(?<=ch)es$|(?<!s)s$/, '');

/** The name of the operation, unique as long as addresses are. */
export function operationId({ method, path, paged }: Named): string {
  const segments = path.split('/').filter((segment) => segment !== '' && segment !== 'v1' && segment !== '.well-known');
  const isParameter = (segment: string | undefined): boolean => segment?.startsWith('{') ?? false;
  const last = segments.at(-1) ?? '';
  const acts = method === 'post' && ACTIONS.has(last);
  const words = (acts ? segments.slice(0, -1) : segments).filter((segment) => !isParameter(segment));
  const many = paged || (method === 'get' && !isParameter(last));
  const names = words.map((word, i) => camel(many && i === words.length - 1 ? word : singular(word)));
  const delivers = method === 'post' && isParameter(last) ? 'post' : VERBS[method];
  return `${acts ? last : paged ? 'list' : delivers}${names.join('')}`;
}
