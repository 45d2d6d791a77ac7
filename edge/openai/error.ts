/** Errors in OpenAI's shape: `{error: {message, type, code, param}}`, under the statuses that its clients sort by. */
import type { Problem } from '../../shared/contracts/problem-document.ts';

/** Clients take a model that is not there for something not found, and a body that does not fit for a bad request. */
const STATUSES: Readonly<Record<string, number>> = { model_unknown: 404 };

const TYPES: Readonly<Record<number, string>> = {
  401: 'authentication_error',
  402: 'insufficient_quota',
  403: 'permission_error',
  409: 'conflict_error',
  429: 'rate_limit_error',
};

/** Codes that OpenAI's clients know by other names. */
const CODES: Readonly<Record<string, string>> = {
  model_unknown: 'model_not_found',
  unauthenticated: 'invalid_api_key',
  context_exceeded: 'context_length_exceeded',
  quota_exceeded: 'rate_limit_exceeded',
};

/** `/messages/0/content` as `messages[0].content`. */
const paramOf = (pointer: string): string =>
  pointer
    .split('/')
    .slice(1)
    .map((part) => (/^\d+$/.test(part) ? `[${part}]` : `.${part.replaceAll('~1', '/').replaceAll('~0', '~')}`))
    .join('')
    .replace(/^\./, '');

export function openAiError({ status, code, detail, errors, request_id }: Problem): { status: number; body: unknown } {
  const answered = STATUSES[code] ?? (status === 422 ? 400 : status);
  const [first] = errors ?? [];
  const own = first?.code === 'unsupported_parameter' ? first.code : undefined;
  return {
    status: answered,
    body: {
      error: {
        message: detail,
        type: TYPES[answered] ?? (answered >= 500 ? 'server_error' : 'invalid_request_error'),
        code: own ?? CODES[code] ?? code,
        param: first?.pointer ? paramOf(first.pointer.replace(/^\/params(?=\/)/, '')) : null,
        request_id,
      },
    },
  };
}
