/** The providers by name. */
import type { Provider } from '../../../shared/contracts/inbound.ts';
import { github } from './github.ts';
import { huggingface } from './huggingface.ts';
import type { InboundProvider } from './provider.ts';
import { standardWebhooks } from './standard-webhooks.ts';

export const INBOUND_PROVIDERS: Readonly<Record<Provider, InboundProvider>> = {
  huggingface,
  github,
  standard_webhooks: standardWebhooks,
};
