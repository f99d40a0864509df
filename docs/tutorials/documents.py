# %% [markdown]
# # Read documents
#
# Pull fields out of a folder of invoices, and see where in each document they stand. All of this notebook runs
# without a key: `offline=True` lets a rule reader answer, which reads labelled values, dates and amounts. It needs
# the extra `documents`: `pip install 'extract-interactions[documents]'`.
#
# The notebook runs in the folder in which it stands: `docs/tutorials`.

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
# A folder is one record per file. `media` names the column that holds the file, `grounding` the one in which values
# are to be found again.

# %%
reader = extract.Extractor(Invoice, "Read this invoice.", media=("path",), grounding=("path",))
run = extract.run("../../sample_data/invoices_pdf", reader, row_id="name", offline=True)
run

# %% [markdown]
# Columns have their types: dates are dates, amounts are decimals.

# %%
run.frame.select("name", "number", "date", "vendor", "total")

# %% [markdown]
# ## Where does it stand?
#
# `sample` shows the text of a document with each value marked: found as it is (*exact*), in another written form
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
# `require_grounding=True` rejects a row with a value that stands nowhere, after the model was told so. Rejected rows
# are not lost: `run.errors` says why, `run.retry_rejected()` asks them anew.

# %%
strict = extract.run("../../sample_data/invoices", reader, row_id="name", offline=True, require_grounding=True)
strict

# %%
strict.errors.select("row_id", "code", "message")
