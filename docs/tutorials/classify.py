# %% [markdown]
# # Sort messages by topic
#
# Give every row of a table one label out of a list. This notebook runs without a key: with `offline=True` a rule reader
# answers. It is not a language model, so the labels below show how it works, not how good Gemini is.
# Leave `offline=True` out and set `GEMINI_API_KEY` to ask Gemini.
#
# The notebook runs in its own folder: `docs/tutorials`.

# %%
import polars as pl

import extract

messages = pl.read_csv("../../sample_data/support_messages.csv").select("id", "body")
messages.head(3)

# %% [markdown]
# ## One line
#
# Labels are a list, an Enum, or a mapping from each label to its meaning. Meanings are the cheapest way to better
# answers: they go into the schema that is sent.

# %%
topics = {
    "billing": "charges, invoices, payments, vouchers",
    "delivery": "a parcel that is late, lost, damaged or at the wrong address",
    "returns": "sending goods back, exchange, warranty",
    "account": "log-in, password, personal data, subscription",
    "bug": "the website or app does not work",
    "question": "asks about a product, a price or how something is done",
    "other": "praise, complaint, spam, nonsense",
}
run = extract.classify(messages, topics, column="body", row_id="id", offline=True)
run

# %% [markdown]
# The result is a `Run`: it shows how many rows are valid, what it cost, why rows were rejected, and the first rows.
# `run.frame` is a Polars frame with all columns of the input and the new one, a Polars Enum.

# %%
run.errors

# %% [markdown]
# Two messages are blank. A model would invent an answer, so they are not sent: their label is null, and `run.errors`
# says why.

# %%
run.frame.group_by("label").len().sort("len", "label", descending=[True, False])

# %% [markdown]
# `run.sample` draws rows at random and shows prompt and answer.

# %%
run.sample(3, seed=0)

# %% [markdown]
# ## How good is it?
#
# With gold answers for some rows, `evaluate` computes scores with 95 % intervals. (These are the rule reader's.)

# %%
gold = pl.read_csv("../../sample_data/support_messages.gold.csv").select("id", label="topic")
print(extract.evaluate(run.frame, gold, on="id"))

# %% [markdown]
# ## Several labels, pandas, other frames
#
# `multiple=True` gives a list column. Pandas frames, Arrow tables and DuckDB relations are inputs, too;
# `run.to_pandas()` and `run.to_arrow()` return the same kind, with the pandas index.

# %%
import pandas as pd

few = pd.DataFrame({"body": ["Where is my parcel?", "The app crashes when I pay my invoice"]}, index=["m1", "m2"])
extract.classify(few, topics, multiple=True, offline=True).to_pandas()

# %% [markdown]
# ## More than a label
#
# A Pydantic model asks for several fields at once, and `df.extract.run` does so for every row. If an answer does not
# fit, the model is shown the error and asked again; rows that are still wrong are in `run.errors`, and
# `run.retry_rejected()` asks for them once more.

# %%
from typing import Literal

from pydantic import BaseModel, Field


class Ticket(BaseModel):
    topic: Literal["billing", "delivery", "returns", "account", "bug", "question", "other"]
    urgent: bool = Field(description="True if the writer names a deadline or is losing money now.")
    order: str | None = Field(description="The order number, five digits.", pattern=r"^\d{5}$")


tickets = messages.head(20).extract.run(extract.Extractor(Ticket, "{body}"), row_id="id", offline=True)
tickets

# %% [markdown]
# ## Before a million rows
#
# Give the run a file and a cache: rows are streamed, nothing is paid for twice, and after the stop button you keep
# what there is. `budget=` is the most that may be spent, in dollars.

# %%
import tempfile
from pathlib import Path

folder = Path(tempfile.mkdtemp())
options = {"column": "body", "row_id": "id", "offline": True, "cache": folder / "topics.cache", "budget": 2.50}
extract.classify(messages, topics, output=folder / "topics.parquet", **options)
again = extract.classify(messages, topics, output=folder / "topics.parquet", **options)
print(again.totals.cached, "rows from the cache,", again.totals.requests, "requests")
