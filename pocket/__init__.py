"""FoodVision Pocket: put the browser demo together, and serve it."""
