# %% [markdown]
# # Moderate comments
#
# Judge every comment by policies: which ones it breaks, and why. All of this notebook runs without a key:
# `offline=True` lets a rule reader answer, which knows words and no meanings, so expect wrong verdicts. Leave it out
# to ask Gemini.
#
# The notebook runs in the folder in which it stands: `docs/tutorials`.

# %%
import polars as pl

import extract

comments = pl.read_ndjson("../../sample_data/comments.jsonl")
comments.head(3)

# %% [markdown]
# ## The built-in policies
#
# `moderate` asks for the policies that a text breaks and for one sentence that says what breaks them; `flagged`
# follows from that, so that the two cannot contradict each other.

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
# ## Policies of your own
#
# A mapping from a name to what it forbids takes the place of the built-in ones.

# %%
house = {
    "advertising": "sells or promotes a shop, channel or service",
    "phishing": "is after passwords, codes or card numbers",
    "insult": "insults the author or other readers",
}
extract.moderate(comments, house, column="text", row_id="id", offline=True).frame.filter("flagged").head(5)

# %% [markdown]
# ## A verdict with a shape of its own
#
# Where a verdict is one thing or another, say so in a model: a union gives a column with a tag. Blocked answers and
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
