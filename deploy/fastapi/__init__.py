"""A web service with FastAPI; `serve` and `measure` are commands."""
