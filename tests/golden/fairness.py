"""Reference figures of audits and group thresholds, by fairlearn, AIF360 and scikit-learn: `python3 tests/golden/fairness.py`.

Writes tests/golden/fairness.json: a table of 400 rows and what the three say of it, which
the tests of shared/fairness/audit and shared/fairness/thresholds compare with ours to 1e-9. Needs fairlearn (0.15), aif360 (0.6), pandas and
scikit-learn, so it is no part of the tests.
"""

import json
import os

import numpy as np
import pandas as pd
from aif360.sklearn.metrics import (
    average_odds_difference, between_group_generalized_entropy_error, consistency_score, disparate_impact_ratio,
    equal_opportunity_difference, false_omission_rate_error, generalized_entropy_error,
    statistical_parity_difference,
)
from fairlearn.metrics import (
    MetricFrame, demographic_parity_difference, demographic_parity_ratio, equalized_odds_difference,
    equalized_odds_ratio, false_positive_rate, selection_rate, true_positive_rate,
)
from fairlearn.postprocessing import ThresholdOptimizer
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import calibration_curve
from sklearn.metrics import accuracy_score, mean_absolute_error, mean_squared_error, precision_score, roc_auc_score

THRESHOLD = 0.5
# Sizes whose labels divide the grid of 1,000 steps: every corner of a trade-off lies on it.
SIZES = {'a': (100, 100), 'b': (50, 50), 'c': (20, 80)}


def table():
    random = np.random.default_rng(7)
    rows = []
    for group, (positives, negatives) in SIZES.items():
        for label, count in ((1, positives), (0, negatives)):
            shift = {'a': 0.6, 'b': 0.3, 'c': 0.5}[group] * (1 if label else -1)
            for z in random.normal(shift + (0.2 if group == 'a' else 0), 1, count):
                rows.append((group, label, round(float(1 / (1 + np.exp(-1.3 * z))), 4)))
    data = pd.DataFrame(rows, columns=['group', 'label', 'score']).sample(frac=1, random_state=3).reset_index(drop=True)
    data['control'] = random.choice(['x', 'y'], len(data))
    data['weight'] = random.integers(1, 30, len(data)) / 8
    for name in ('f1', 'f2', 'f3'):
        data[name] = random.normal(size=len(data)).round(6)
    return data


def frames(data, weights):
    """Metrics of every group, their gaps and ratios."""
    y, score, decided = data.label, data.score, (data.score >= THRESHOLD).astype(int)
    given = {} if weights is None else {'sample_weight': weights}
    metrics = {
        'selection_rate': selection_rate, 'accuracy': accuracy_score, 'true_positive_rate': true_positive_rate,
        'false_positive_rate': false_positive_rate, 'precision': precision_score,
        'false_omission_rate': false_omission_rate_error,
    }
    frame = MetricFrame(
        metrics=metrics, y_true=y, y_pred=decided, sensitive_features=data.group,
        sample_params=None if weights is None else {name: given for name in metrics},
    )
    groups = frame.by_group.T.to_dict()
    for group, own in groups.items():
        at = data.group == group
        own['false_discovery_rate'] = 1 - own['precision']
        part = {} if weights is None else {'sample_weight': weights[at]}
        own['auc'] = roc_auc_score(y[at], score[at], **part)
        own['mse'] = mean_squared_error(y[at], score[at], **part)
        own['mae'] = mean_absolute_error(y[at], score[at], **part)
        own['mean'] = float(np.average(score[at], weights=None if weights is None else weights[at]))
    odds = {'sensitive_features': data.group, **given}
    return {
        'groups': groups,
        'gaps': {**frame.difference(method='between_groups').to_dict()},
        'ratios': {**frame.ratio(method='between_groups').to_dict()},
        'demographic_parity_difference': demographic_parity_difference(y, decided, **odds),
        'demographic_parity_ratio': demographic_parity_ratio(y, decided, **odds),
        'equalized_odds_difference': equalized_odds_difference(y, decided, **odds),
        'equalized_odds_ratio': equalized_odds_ratio(y, decided, **odds),
    }


def conditional(data):
    decided = (data.score >= THRESHOLD).astype(int)
    frame = MetricFrame(
        metrics={'selection_rate': selection_rate, 'true_positive_rate': true_positive_rate}, y_true=data.label,
        y_pred=decided, sensitive_features=data.group, control_features=data.control,
    )
    return {'gaps': frame.difference().T.to_dict(), 'ratios': frame.ratio().T.to_dict()}


def referenced(data):
    """Every group against `a`, as AIF360 compares the unprivileged with the privileged."""
    out = {}
    for group in ('b', 'c'):
        part = data[data.group.isin(['a', group])].set_index('group', drop=False)
        y, decided = part.label, pd.Series((part.score >= THRESHOLD).astype(int), index=part.index)
        how = {'prot_attr': 'group', 'priv_group': 'a'}
        weighed = {**how, 'sample_weight': part.weight}
        out[group] = {
            'selection_rate_difference': statistical_parity_difference(y, decided, **how),
            'true_positive_rate_difference': equal_opportunity_difference(y, decided, **how),
            'average_odds_difference': average_odds_difference(y, decided, **how),
            'selection_rate_ratio': disparate_impact_ratio(y, decided, **how),
            'weighted_selection_rate_ratio': disparate_impact_ratio(y, decided, **weighed),
        }
    return out


def individual(data):
    indexed = data.set_index('group', drop=False)
    y = indexed.label
    decided = pd.Series((indexed.score >= THRESHOLD).astype(int), index=indexed.index)
    features = data[['f1', 'f2', 'f3']].to_numpy()
    return {
        'generalized_entropy': {str(alpha): generalized_entropy_error(y, decided, alpha=alpha) for alpha in (2, 1, 3, 0.5)},
        'between_groups': between_group_generalized_entropy_error(y, decided, prot_attr='group'),
        'consistency': consistency_score(features, decided.to_numpy(), n_neighbors=5),
        'consistency_of_scores': consistency_score(features, data.score.to_numpy(), n_neighbors=7),
    }


def calibration(data):
    out = {}
    for group, own in data.groupby('group'):
        observed, mean_score = calibration_curve(own.label, own.score, n_bins=10, strategy='uniform')
        edges = np.linspace(0, 1, 11)
        counts = np.bincount(np.searchsorted(edges[1:-1], own.score), minlength=10)
        used = counts[counts > 0] / len(own)
        out[group] = {
            'observed': observed.tolist(), 'mean_score': mean_score.tolist(), 'counts': counts.tolist(),
            'error': float((used * np.abs(observed - mean_score)).sum()),
        }
    return out


class Scores(ClassifierMixin, BaseEstimator):
    """A classifier whose score is its only feature."""

    def fit(self, x, y):
        self.classes_ = np.array([0, 1])
        self.fitted_ = True
        return self

    def predict_proba(self, x):
        score = np.asarray(x)[:, 0]
        return np.stack([1 - score, score], axis=1)


def thresholds(data):
    out = []
    x, y = data[['score']].to_numpy(), data.label.to_numpy()
    for constraint in ('demographic_parity', 'true_positive_rate_parity', 'false_positive_rate_parity', 'equalized_odds'):
        for objective in ('accuracy_score', 'balanced_accuracy_score'):
            fitted = ThresholdOptimizer(
                estimator=Scores().fit(x, y), constraints=constraint, objective=objective, prefit=True, grid_size=1000,
                predict_method='predict_proba', flip=False,
            ).fit(x, y, sensitive_features=data.group)
            out.append({
                'constraint': constraint, 'objective': objective.removesuffix('_score'), 'rate': float(fitted._x_best),
                'probabilities': fitted._pmf_predict(x, sensitive_features=data.group)[:, 1].tolist(),
            })
    return out


if __name__ == '__main__':
    data = table()
    found = {
        'columns': {name: data[name].tolist() for name in data.columns},
        'plain': frames(data, None),
        'weighted': frames(data, data.weight),
        'conditional': conditional(data),
        'reference': referenced(data),
        'individual': individual(data),
        'calibration': calibration(data),
        'thresholds': thresholds(data),
    }
    path = os.path.join(os.path.dirname(__file__), 'fairness.json')
    with open(path, 'w') as file:
        json.dump(found, file, separators=(',', ':'), default=float)
        file.write('\n')
