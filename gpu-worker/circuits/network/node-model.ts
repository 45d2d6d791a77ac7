/** A loaded model whose nodes can be taken apart, or the reason why they cannot. */
import { SextantError } from '../../../shared/contracts/problem.ts';
import type { LanguageModel } from '../../lm/index.ts';
import { NodeGraph } from '../graph/node-graph.ts';

export type NodeModel = { model: LanguageModel; graph: NodeGraph };

/**
 * The stream must be a sum of what the nodes add to it. A norm behind a part would divide each node's share by the size of
 * all shares together, and packed matrices cannot be cut into heads.
 * @throws SextantError `model_unsupported`
 */
export function nodeModel(model: LanguageModel): NodeModel {
  const { architecture, weights, packed, sidePaths } = model.folder;
  const { family } = architecture;
  if (weights.layers.some(({ postAttentionNorm, postMlpNorm }) => postAttentionNorm ?? postMlpNorm)) {
    throw new SextantError(
      'model_unsupported',
      `${family} norms what attention and MLP give before it is added to the stream, so the stream is no sum of heads`,
    );
  }
  if (architecture.localRope) {
    throw new SextantError('model_unsupported', `${family} turns the queries of its layers in two ways`);
  }
  if (packed.size > 0) {
    throw new SextantError(
      'model_unsupported',
      'packed weights cannot be cut into heads: open the model without `packed`',
    );
  }
  if (sidePaths.size > 0) {
    throw new SextantError(
      'model_unsupported',
      'what lies beside a matrix is not cut into heads: merge it into the weights',
    );
  }
  return { model, graph: new NodeGraph(architecture) };
}
