"""A container for AWS SageMaker; `serve` is a command."""
