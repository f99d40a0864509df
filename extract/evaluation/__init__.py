"""Predictions and gold answers in, scores per field out; two runs side by side."""

from __future__ import annotations

from extract.evaluation.compare import Comparison, FieldComparison, compare
from extract.evaluation.confusion import Confusion
from extract.evaluation.costs import CostScore
from extract.evaluation.evaluate import evaluate
from extract.evaluation.intervals import Interval
from extract.evaluation.labels import Average, LabelScore
from extract.evaluation.members import MemberScore
from extract.evaluation.scores import Evaluation, FieldScore

__all__ = [
    "Average",
    "Comparison",
    "Confusion",
    "CostScore",
    "Evaluation",
    "FieldComparison",
    "FieldScore",
    "Interval",
    "LabelScore",
    "MemberScore",
    "compare",
    "evaluate",
]
