"""The wire: calls, connections, transports, retries."""
