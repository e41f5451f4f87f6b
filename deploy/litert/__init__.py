"""The model as .tflite files with labels, for LiteRT and ML Kit on Android and iOS."""
