"""People judge rows: which rows, what was decided, how right the answers are, and what becomes gold."""
