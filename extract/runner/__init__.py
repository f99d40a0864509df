"""Asks: from what a user has in hand to a finished Run."""
