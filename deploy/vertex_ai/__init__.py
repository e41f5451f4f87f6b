"""A container for Google Vertex AI; `serve` is a command."""
