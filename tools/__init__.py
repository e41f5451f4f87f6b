"""What `make` runs, each as `python -m tools.NAME`."""
