"""Metrics of your own: `metric: podium.scoring.custom:my_metric` calls `my_metric` below.

A metric is a function of two arrays. The targets are the classes' numbers, int [N]; 0 and 1,
[N, C], of task: multilabel; the numbers, [N], of task: regression. The predictions are

- by default, probabilities [N, C] (of task: regression the numbers, [N]),
- labels in the form of the targets, if the function has `takes = "labels"`.

More is better, unless the function has `greater_is_better = False`:

    def mean_error(targets, predicted):
        return abs(targets - predicted).mean()

    mean_error.greater_is_better = False

DVC watches this file: an edit runs again what scores by it. A metric may also stand in another
module, which DVC does not watch.
"""
