/** Types of the jobs that publish results of a kind, as their contracts say. */
export const PUBLISHING = {
  predictor: ['fairness.correct', 'fairness.edit_layer', 'fairness.fit_gated', 'fairness.fit_lookahead'],
  report: [
    'activations.extract',
    'block_sparse.train',
    'circuits.find',
    'circuits.study',
    'compression.study',
    'fairness.audit',
    'lm.evaluate',
    'model.compare',
    'model.compress',
    'reflection.study',
    'refusal.repair',
    'refusal.study',
    'sae.encode',
    'sae.evaluate',
  ],
} as const;
