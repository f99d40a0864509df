"""`extract schema`: the three forms of a schema: what is sent, what is checked here, what comes out."""

from __future__ import annotations

import json
import sys

from extract.cli.pipelines import load_pipeline
from extract.schema import OutputSchema, compile_schema

__all__ = ["schema_command"]


def schema_command(pipeline: str, *, as_json: bool) -> None:
    """Print the forms, as text for people or as one JSON object."""
    schema = compile_schema(load_pipeline(pipeline).schema)
    write = sys.stdout.write
    if as_json:
        write(json.dumps(_described(schema), ensure_ascii=False) + "\n")
        return
    write(f"{schema.name}: sent to the service\n{json.dumps(schema.wire, indent=2, ensure_ascii=False)}\n\n")
    write("Checked here only, because the service does not enforce it\n")
    for loss in schema.losses:
        write(f"  {loss.path}  {loss.keyword}: {json.dumps(loss.value, ensure_ascii=False, default=str)}\n")
    write("" if schema.losses else "  nothing\n")
    write("\nColumns\n")
    width = max(map(len, schema.dtypes), default=0)
    for name, dtype in schema.dtypes.items():
        write(f"  {name:<{width}}  {dtype}\n")


def _described(schema: OutputSchema) -> dict[str, object]:
    return {
        "name": schema.name,
        "wire": schema.wire,
        "full": schema.full,
        "losses": [{"path": loss.path, "keyword": loss.keyword, "value": loss.value} for loss in schema.losses],
        "columns": {name: str(dtype) for name, dtype in schema.dtypes.items()},
    }
