/** The public interface of the runtime layer. */
export { AskedThread, answerRequests } from './asked-thread.ts';
export { EngineError, type EngineErrorCode } from './errors.ts';
export { chooseProvider, type ProviderChoice, type ProviderRequest } from './providers.ts';
export { type Provider, Session, type SessionOptions } from './session.ts';
export type { FeedValue, HostTensor } from './values.ts';
