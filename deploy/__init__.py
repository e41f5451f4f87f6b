"""The same model in every place of the lesson's table, one folder a place."""
