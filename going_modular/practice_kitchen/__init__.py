"""Draws the practice pictures: a drawing kit, a table to set, and three dishes."""
