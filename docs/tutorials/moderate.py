# %% [markdown]
# # Moderate comments
#
# Judge every comment by policies: which ones it breaks, and why. This notebook runs without a key: with `offline=True`
# a rule reader answers. It knows words but no meanings, so expect wrong verdicts. Leave it out to ask Gemini.
#
# The notebook runs in its own folder: `docs/tutorials`.

# %%
import polars as pl

import extract

comments = pl.read_ndjson("../../sample_data/comments.jsonl")
comments.head(3)

# %% [markdown]
# ## The built-in policies
#
# `moderate` asks which policies a text breaks, and for one sentence that gives the reason; `flagged` is computed from
# that, so the two cannot contradict each other.

# %%
print(*(f"{name}: {meaning}" for name, meaning in extract.POLICIES.items()), sep="\n")

# %%
run = extract.moderate(comments, column="text", row_id="id", offline=True)
run

# %%
broken = run.frame.filter("flagged").explode("categories")
broken.group_by("categories").len().sort("len", "categories", descending=[True, False])

# %% [markdown]
# Look at verdicts before you trust them. A comment is data: what it says stays text, in the prompt and on this page.

# %%
run.sample(4, seed=4)

# %% [markdown]
# ## Your own policies
#
# A mapping from names to what they forbid replaces the built-in policies.

# %%
house = {
    "advertising": "sells or promotes a shop, channel or service",
    "phishing": "is after passwords, codes or card numbers",
    "insult": "insults the author or other readers",
}
extract.moderate(comments, house, column="text", row_id="id", offline=True).frame.filter("flagged").head(5)

# %% [markdown]
# ## Your own form of a verdict
#
# If a verdict is one of several things, write a model: a union gives a column with a tag. Blocked answers and
# answers that do not fit are in `run.errors`, with a code; they never stop a run.

# %%
from typing import Literal

from pydantic import BaseModel, Field


class Spam(BaseModel):
    kind: Literal["phishing", "scam", "advertising"]


class Comment(BaseModel):
    safe: bool = Field(description="False for insults, threats, hate or private data.")


class Verdict(BaseModel):
    verdict: Spam | Comment


verdicts = comments.extract.run(extract.Extractor(Verdict, "{text}"), row_id="id", offline=True)
verdicts.frame.select("text", pl.col("verdict").struct.unnest()).head(5)
