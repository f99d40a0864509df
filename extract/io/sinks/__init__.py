"""Where rows go: memory, Parquet, csv, jsonl."""
