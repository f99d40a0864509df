# %% [markdown]
# # Read documents
#
# Extract fields from a folder of invoices, and see where in each document they are. This notebook runs without a key:
# with `offline=True` a rule reader answers, which reads labelled values, dates and amounts. It needs
# the extra `documents`: `pip install 'extract-interactions[documents]'`.
#
# The notebook runs in its own folder: `docs/tutorials`.

# %%
import datetime as dt
from decimal import Decimal

from pydantic import BaseModel, Field

import extract


class Invoice(BaseModel):
    number: str | None = Field(description="The number of the invoice; null if there is none.")
    date: dt.date | None = Field(description="The day of issue.")
    vendor: str | None = Field(description="Who sells, by name only.")
    total: Decimal | None = Field(description="The sum to pay, tax included.", max_digits=12, decimal_places=2)


# %% [markdown]
# A folder is one record per file. `media` names the column of the file, `grounding` the one in which values are
# looked up.

# %%
reader = extract.Extractor(Invoice, "Read this invoice.", media=("path",), grounding=("path",))
run = extract.run("../../sample_data/invoices_pdf", reader, row_id="name", offline=True)
run

# %% [markdown]
# Columns have their types: dates are dates, amounts are decimals.

# %%
run.frame.select("name", "number", "date", "vendor", "total")

# %% [markdown]
# ## Where is it in the document?
#
# `sample` shows the text of a document with each value marked: as it is (*exact*), in another written form
# (*normalised*), in similar words (*fuzzy*), or nowhere (*missing*).

# %%
run.sample(1, seed=3)

# %% [markdown]
# The same in numbers: `_spans` has one entry for each value, with its place in the text and its page.

# %%
run.frame.select("name", "_spans").explode("_spans").unnest("_spans").select(
    "name", "path", "status", "page", "text"
).head(8)

# %% [markdown]
# `require_grounding=True` tells the model which values are missing in the document, and rejects the row if they still
# are. Rejected rows are not lost: `run.errors` says why, `run.retry_rejected()` asks for them again.

# %%
strict = extract.run("../../sample_data/invoices", reader, row_id="name", offline=True, require_grounding=True)
strict

# %%
strict.errors.select("row_id", "code", "message")
