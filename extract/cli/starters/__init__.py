"""Pipelines to start from, as `extract init` writes them. Read as text; nothing in the package imports them."""
