"""The cache of answers: one SQLite file with answers, ledger and uploaded files."""
