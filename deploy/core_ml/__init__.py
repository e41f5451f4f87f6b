"""The model as an .mlpackage, for apps on Apple's devices."""
