/** The signed queue message that hands a job to a worker. */
import type { z } from 'zod';
import {
  EDGE_ISSUER,
  MESSAGE_LIFE_S,
  MESSAGE_TYP,
  type Message,
  messageSchema,
  WORKER_AUDIENCE,
} from '../contracts/worker-call.ts';
import { openEnvelope, type SigningKey, signEnvelope } from './envelope.ts';
import type { KeySource } from './key-set.ts';

/** What the ledger says in a message; issuer, audience and times are added here. */
type MessageContent = Omit<z.input<typeof messageSchema>, 'iss' | 'aud' | 'iat' | 'exp'>;

export function signMessage(key: SigningKey, content: MessageContent, now_s: number): Promise<string> {
  const iat = Math.floor(now_s);
  const claims: Message = { iss: EDGE_ISSUER, aud: WORKER_AUDIENCE, iat, exp: iat + MESSAGE_LIFE_S, ...content };
  return signEnvelope(key, MESSAGE_TYP, claims);
}

/** Claims of a message that the edge signed. Raises as `openEnvelope`. */
export async function openMessage(jws: string, edgeKeys: KeySource, now_s: number): Promise<Message> {
  const keysOf = (issuer: string) => (issuer === EDGE_ISSUER ? edgeKeys : null);
  return (await openEnvelope(jws, { typ: MESSAGE_TYP, keysOf, schema: messageSchema, now_s })).claims;
}
