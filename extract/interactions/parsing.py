"""The typed value of an interaction with structured output."""

from __future__ import annotations

from typing import Any

from extract.errors import ConfigError
from extract.interactions.failures import judge
from extract.interactions.interaction import Interaction
from extract.schema import OutputSchema, compile_schema

__all__ = ["parse"]


def parse(interaction: Interaction, schema: Any) -> Any:
    """Return the answer as a value of `schema`: what `compile_schema` takes, or its result where it is used again.

    Raises InvalidAnswer where it does not fit, Incomplete, Blocked or Unfinished where there is no whole answer.

        >>> content = {"type": "text", "text": '{"value": "bug"}'}
        >>> step = {"type": "model_output", "content": [content]}
        >>> parse(Interaction(status="completed", steps=(step,)), ["bug", "praise"])
        'bug'
    """
    if not isinstance(interaction, Interaction):
        raise ConfigError("parse takes the interaction; compile_schema(Model).validate(text) reads a text")
    compiled = schema if isinstance(schema, OutputSchema) else compile_schema(schema)
    value, _ = compiled.read(judge(interaction))
    return value
