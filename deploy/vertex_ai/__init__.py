"""A container for Google Vertex AI; `serve` and `try_it` are commands."""
