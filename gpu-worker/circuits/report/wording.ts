/** Methods in words. */
import type { Method } from '../search/find-circuit.ts';

export function methodWords(method: Method): string {
  switch (method.kind) {
    case 'exact':
      return `exact patching of every ${method.level === 'nodes' ? 'node' : 'edge'}`;
    case 'path':
      return `path patching to ${method.receivers.join(', ')} with MLPs ${method.mlps}`;
    case 'direct':
      return 'the direct effect on the logits by the formula of the final norm';
    case 'eap':
      return 'edge attribution patching';
    case 'eap_ig':
      return `edge attribution patching with integrated gradients over ${method.between} (${method.steps} steps)`;
    case 'acdc':
      return `ACDC with a threshold of ${method.threshold}`;
    default:
      return method satisfies never;
  }
}
