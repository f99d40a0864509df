"""The schema compiler: a model, a type, labels or a JSON Schema -> wire form, validation and typed columns.

Every source becomes one flat JSON Schema (`marks` for Python types, `normalise` for any dialect), which `merge` brings
into a normal form; from that follow the wire form (`subset`, `words`), its cost (`complexity`), its simpler forms
(`relax`) and the columns (`codecs`, `containers`, `unions`, `dtypes`). `validate` judges answers against the source
itself, and `mends` puts right what needs no asking. A module imports only from those before it: keywords, marks,
normalise, merge, words, subset, complexity, relax, codecs, containers, unions, dtypes, validate, mends, compile.
"""

from extract.schema.compile import OutputSchema, compile_schema
from extract.schema.complexity import Complexity

__all__ = ["Complexity", "OutputSchema", "compile_schema"]
