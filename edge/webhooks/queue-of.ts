/** The delivery queue of an endpoint, or of the address that a single job named. */
import { derivedId } from '../../shared/signing/digest.ts';
import type { Env } from '../environment.ts';
import type { AttemptRow, MessageView, NewMessage, Target } from './queue-store.ts';

/** What `DeliveryQueue` answers, with the types of its own methods: those of a remote stub lose untyped JSON. */
type QueueCalls = {
  enqueue(target: Target, message: NewMessage): Promise<void>;
  list(before: number, limit: number): Promise<MessageView[]>;
  attemptsFor(subject: string): Promise<AttemptRow[]>;
  redeliver(id: string): Promise<boolean>;
  drop(): Promise<void>;
  revive(): Promise<void>;
  erase(): Promise<void>;
  has(id: string): Promise<boolean>;
  forgetSubject(subject: string): Promise<void>;
};

export const deliveryQueueOf = (env: Env, name: string): QueueCalls =>
  env.DELIVERIES.getByName(name) as unknown as QueueCalls;

export const addressQueueName = (tenant: string, address: string): Promise<string> =>
  derivedId('adr', [tenant, address]);
