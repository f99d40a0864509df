"""Input and output: sources, sinks, and the cache of answers."""
