"""The schema compiler: a model, a type, labels or a JSON Schema -> wire form, validation and typed columns.

Every source becomes one flat JSON Schema (`marks` for Python types, `normalise` for any dialect), which `simplify`
brings into a normal form. From that follow the wire form (`provider_subset`, with `descriptions` for what it cannot
carry), its `complexity`, its simpler forms (`relaxation`) and the columns (`codecs`, `container_codecs`, `unions`,
`dtypes`; `unnamed` for what no column holds). `validate` checks answers against the source itself, after a quick yes of
`quick`, and `lenient` fixes faults of form locally. A module imports only from those before it: keywords, wire_keys,
marks, normalise, disjoint, simplify, descriptions, provider_subset, complexity, relaxation, unnamed, codecs,
container_codecs, unions, dtypes, quick, validate, lenient, compile.
"""

from extract.schema.compile import OutputSchema, compile_schema
from extract.schema.complexity import Complexity

__all__ = ["Complexity", "OutputSchema", "compile_schema"]
