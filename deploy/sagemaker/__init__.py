"""A container for AWS SageMaker; `serve` and `try_it` are commands."""
