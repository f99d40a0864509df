"""Variants of an extractor tried on gold rows: the best is chosen on some, and proved on others."""
