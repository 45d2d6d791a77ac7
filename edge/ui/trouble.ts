/** What to do next when a call fails. */
import { ApiError, NetworkError, UnexpectedAnswerError } from '../client/index.ts';
import { h } from './elements.ts';
import { button } from './parts.ts';
import { duration } from './words.ts';

/** What is wrong, and what would help. */
function advice(error: unknown): { title: string; next: string } {
  if (error instanceof NetworkError) {
    return {
      title: 'The service cannot be reached',
      next: 'Check that this machine is online and that the service is up, then try again. Jobs go on without this page.',
    };
  }
  if (error instanceof UnexpectedAnswerError) {
    return {
      title: 'Something else answered',
      next: 'A proxy or a sign-in page may stand in between. Sign in there, then try again.',
    };
  }
  if (!(error instanceof ApiError)) {
    return {
      title: 'This page made an error',
      next: 'Try again; if it stays, reload the page and enter the key anew.',
    };
  }
  switch (error.status) {
    case 403:
      return {
        title: 'The key does not open this',
        next: 'Ask whoever gave you the key for one with the scope that is named, or go on with another part.',
      };
    case 404:
      return {
        title: 'There is no such thing here',
        next: 'It may have been deleted or have expired, or it belongs to another tenant. Go back to the list.',
      };
    case 429:
      return {
        title: 'Too many requests',
        next: `Wait ${error.retryAfterS === null ? 'a little' : duration(error.retryAfterS)}, then try again.`,
      };
    default:
      return error.status >= 500
        ? { title: 'The service failed', next: 'Try again in a moment. If it stays, tell the operator the request id.' }
        : { title: 'The service refused this', next: 'Change what is named below, then try again.' };
  }
}

/** @param again what trying again does */
export function trouble(error: unknown, again: () => void): HTMLDivElement {
  const { title, next } = advice(error);
  return h(
    'div',
    { class: 'box bad', role: 'alert' },
    h('p', { class: 'strong' }, title),
    h('p', { class: 'told' }, error instanceof Error ? error.message : String(error)),
    ...(error instanceof ApiError
      ? error.errors.map(({ pointer, detail }) => h('p', { class: 'told' }, `${pointer}: ${detail}`))
      : []),
    h('p', {}, next),
    error instanceof ApiError && h('p', { class: 'quiet' }, `Request ${error.requestId}`),
    button('Try again', again),
  );
}

/** The key is not accepted, or not any more. */
export const isUnknownKey = (error: unknown): boolean => error instanceof ApiError && error.status === 401;
