"""Tools: built-in ones, functions, and the loop that carries them out."""
