/** The public interface of the runtime layer. */

export { EngineError } from './errors.ts';
export { giveBack, passing } from './garbage.ts';
export { chooseProvider, type ProviderChoice, type ProviderRequest } from './providers.ts';
export { answerRequests, RequestThread } from './request-thread.ts';
export { type Provider, Session, type SessionOptions } from './session.ts';
export type { FeedValue, HostTensor } from './values.ts';
