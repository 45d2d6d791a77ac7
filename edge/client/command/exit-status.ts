/** With what the command ends. The numbers are documented in the README beside this file and do not change. */
import {
  ApiError,
  IntegrityError,
  JobFailedError,
  NetworkError,
  SextantClientError,
  UnexpectedAnswerError,
} from '../index.ts';

export const EXIT = {
  done: 0,
  job_failed: 1,
  usage: 2,
  key: 3,
  not_found: 4,
  limit: 5,
  network: 6,
  canceled: 7,
  interrupted: 8,
} as const;
type Ending = keyof typeof EXIT;

/** What ends the command with a status of its own. */
export class CommandError extends Error {
  readonly ending: Ending;
  constructor(ending: Ending, message: string) {
    super(message);
    this.ending = ending;
  }
}

const BY_STATUS: Readonly<Record<number, Ending>> = {
  401: 'key',
  403: 'key',
  404: 'not_found',
  402: 'limit',
  413: 'limit',
  429: 'limit',
};

/** How the command ends that raised this. */
export function endingOf(error: unknown): Ending {
  if (error instanceof CommandError) {
    return error.ending;
  }
  if (error instanceof JobFailedError) {
    return error.code === 'canceled' ? 'canceled' : 'job_failed';
  }
  if (error instanceof ApiError) {
    return BY_STATUS[error.status] ?? (error.status >= 500 ? 'network' : 'usage');
  }
  const network = [NetworkError, UnexpectedAnswerError, IntegrityError];
  if (network.some((kind) => error instanceof kind)) {
    return 'network';
  }
  return error instanceof SextantClientError ? 'network' : 'usage';
}

/** What is said of it, places of the request included. */
export function messageOf(error: unknown): string {
  if (error instanceof ApiError) {
    const places = error.errors.map(({ pointer, detail }) => `\n  ${pointer || '(whole)'}: ${detail}`).join('');
    const wait = error.retryAfterS === null ? '' : `; try again in ${Math.ceil(error.retryAfterS)} s`;
    return `${error.message}${wait} (${error.code}, request ${error.requestId})${places}`;
  }
  if (error instanceof JobFailedError) {
    return error.message + error.errors.map(({ pointer, detail }) => `\n  ${pointer}: ${detail}`).join('');
  }
  return error instanceof Error ? error.message : String(error);
}
