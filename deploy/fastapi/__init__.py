"""A web service with FastAPI; `serve`, `try_it` and `measure` are commands."""
