"""Measures how much faster the lesson's way is than the usual one."""
