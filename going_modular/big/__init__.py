"""FoodVision Big: many classes, and many photos."""
