"""An archive for TorchServe, and its handler, for those who inherit such a server."""
