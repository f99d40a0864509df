"""What comes in and goes out: sources, sinks, and the cache of answers."""
