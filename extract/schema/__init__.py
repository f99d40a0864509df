"""The schema compiler: a model, a type, labels or a JSON Schema -> wire form, validation and typed columns."""

from extract.schema.compile import OutputSchema, compile_schema

__all__ = ["OutputSchema", "compile_schema"]
