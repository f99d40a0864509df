"""Answers as they come: server-sent events, and the streams made of them."""
