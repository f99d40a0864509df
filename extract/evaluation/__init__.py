"""Predictions and gold answers in, scores per field out."""

from __future__ import annotations

from extract.evaluation.scores import Evaluation, FieldScore, LabelScore, evaluate

__all__ = ["Evaluation", "FieldScore", "LabelScore", "evaluate"]
