"""Checks of what the reader writes: what is still wrong, said in a sentence."""
