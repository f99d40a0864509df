"""What a run may use: concurrency, rates, daily quota, budget, and what it costs."""
