/**
 * What the platform's API takes, for the calls of provisioning: schemas of github.com/cloudflare/api-schemas (openapi.json at
 * c92b9b0fde23ae00fece2025662f96dc8e2d6283), references written out, and for bodies without one the parameters of the clients
 * that are generated from it (cloudflare-typescript). Unknown fields are refused here, which the platform may not do.
 */
import { z } from 'zod';

const schema = (properties: Record<string, object>, required: string[]) =>
  z.fromJSONSchema({ type: 'object', properties, required, additionalProperties: false } as never);
const text = { type: 'string' };

/** By method and path; `:` stands for an id. */
export const REQUEST_BODIES: Readonly<Record<string, z.ZodType>> = {
  'POST /queues': schema({ queue_name: text }, ['queue_name']),
  // mq_http-consumer-request
  'POST /queues/:/consumers': schema(
    {
      dead_letter_queue: text,
      settings: {
        type: 'object',
        properties: {
          batch_size: { type: 'number' },
          max_retries: { type: 'number' },
          retry_delay: { type: 'number' },
          visibility_timeout_ms: { type: 'number' },
        },
        additionalProperties: false,
      },
      type: { type: 'string', enum: ['http_pull'] },
    },
    ['type'],
  ),
  // r2_bucket_name: 3 to 64 characters
  'POST /r2/buckets': schema(
    { name: { type: 'string', minLength: 3, maxLength: 64 }, locationHint: text, storageClass: text },
    ['name'],
  ),
  'POST /d1/database': schema({ name: text, jurisdiction: text, primary_location_hint: text }, ['name']),
  'POST /d1/database/:/query': schema({ sql: text, params: { type: 'array', items: text } }, ['sql']),
  // workers-kv_namespace_title: at most 512 characters
  'POST /storage/kv/namespaces': schema({ title: { type: 'string', maxLength: 512 } }, ['title']),
  // workers_binding_kind_secret_text
  'PUT /workers/scripts/:/secrets': schema({ name: text, text, type: { type: 'string', enum: ['secret_text'] } }, [
    'name',
    'text',
    'type',
  ]),
};
