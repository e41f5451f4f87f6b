"""An endpoint on Azure Machine Learning; `serve` runs Azure's own server here."""
