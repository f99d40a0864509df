# %% [markdown]
# # Label 50 rows, score, improve, compare
#
# How good are the answers, and how do they get better? Label some rows by hand, score the run with them, show them to
# the model as examples, and compare. All gold here is a pandas frame. This notebook runs without a key: with
# `offline=True` a rule reader answers. It is not a language model, so the scores show the way, not how good Gemini is.
#
# The notebook runs in its own folder: `docs/tutorials`.

# %%
import pandas as pd

import extract

messages = pd.read_csv("../../sample_data/bank_messages.csv")
topics = ["card_arrival", "fees", "login", "lost_card", "top_up", "transfer"]
before = extract.run(messages, extract.Extractor(topics, "{text}"), row_id="id", offline=True)
before

# %% [markdown]
# ## Label 50 rows
#
# Rows are drawn at random: who labels the rows that look odd learns nothing about the others.

# %%
drawn = messages.sample(50, random_state=1)
drawn.head(3)

# %% [markdown]
# Label them without looking at the answers, in a spreadsheet (`drawn.to_csv("to_label.csv")`) or on a page of this
# machine, which also draws the rows: `extract.open_review(before, decisions="labels.db", sample=50, blind=True)`; then
# `extract.write_gold("labels.db").frame.to_pandas()` is the gold, with some rows marked as proof, which no prompt
# shows. Here a file stands in for the person. Gold is any frame with the id of a row and the right answer, under the
# name that the answer has in the output: for a list of labels, `value`.

# %%
by_hand = pd.read_csv("../../sample_data/bank_messages.gold.csv").rename(columns={"topic": "value"})
gold = drawn.merge(by_hand, on="id")
gold.head(3)

# %% [markdown]
# ## Score
#
# Each share stands with its 95 % interval: 50 rows tell a third from two thirds, but not 60 % from 65 %.

# %%
scores = extract.evaluate(before, gold, on="id")
scores

# %%
scores.mistakes().to_pandas().head()

# %% [markdown]
# ## Improve
#
# `Nearest` shows, beside each message, the four labelled messages that are most similar to it. No row is its own
# example, so the same 50 rows still measure fairly.

# %%
shown = extract.Nearest(gold, k=4, on="id")
after = extract.run(messages, extract.Extractor(topics, "{text}", examples=shown), row_id="id", offline=True)
extract.evaluate(after, gold, on="id")

# %% [markdown]
# ## Compare
#
# Is it better, or was it luck? `compare` counts the gold rows that only one of the two runs has right; `p` is how often
# chance alone would make such a difference.

# %%
extract.compare(before, after, on="id", gold=gold)

# %% [markdown]
# Who tries many prompts on the same 50 rows will find one that fits just these. The last word have rows that nothing
# was chosen by: here the rest of the table.

# %%
rest = messages[~messages["id"].isin(gold["id"])].merge(by_hand, on="id")
extract.compare(before, after, on="id", gold=rest)

# %% [markdown]
# ## Show it
#
# The report is one HTML file with scores, mistakes and every row beside its gold. It needs the extra `report`.

# %%
import tempfile
from pathlib import Path

page = extract.write_report(after, Path(tempfile.mkdtemp()) / "after.html", gold=gold, on="id")
page.name

# %% [markdown]
# `extract tune` tries many variants at once, within a budget, and keeps the rows that prove apart:
# [tuning.md](../tuning.md). How rows are drawn, labelled by several people and put back into a table:
# [review.md](../review.md).
