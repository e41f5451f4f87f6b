"""The two demos of the lesson, as Hugging Face Spaces run them."""
