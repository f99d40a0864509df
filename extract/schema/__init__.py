"""The schema compiler: a model, a type, labels or a JSON Schema -> wire form, validation and typed columns.

Every source becomes one flat JSON Schema (`marks` for Python types, `normalise` for any dialect), which `merge` brings
into a normal form; from that follow the wire form (`subset`, `words`) and the columns (`codecs`, `containers`,
`dtypes`). `validate` judges answers against the source itself. A module imports only from those before it:
keywords, marks, normalise, merge, words, subset, codecs, containers, dtypes, validate, compile.
"""

from extract.schema.compile import OutputSchema, compile_schema

__all__ = ["OutputSchema", "compile_schema"]
