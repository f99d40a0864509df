"""The schema compiler: a model, a type, labels or a JSON Schema -> wire form, validation and typed columns.

Every source becomes one flat JSON Schema (`marks` for Python types, `normalise` for any dialect), which `simplify`
brings into a normal form. From that follow the wire form (`provider_subset`, with `descriptions` for what it cannot
carry), its `complexity`, its simpler forms (`relaxation`) and the columns (`codecs`, `container_codecs`, `unions`,
`dtypes`). `validate` checks answers against the source itself, and `lenient` fixes faults of form locally. A module
imports only from those before it: keywords, marks, normalise, simplify, descriptions, provider_subset, complexity,
relaxation, codecs, container_codecs, unions, dtypes, validate, lenient, compile.
"""

from extract.schema.compile import OutputSchema, compile_schema
from extract.schema.complexity import Complexity

__all__ = ["Complexity", "OutputSchema", "compile_schema"]
