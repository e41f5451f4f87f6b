"""The model as a .pte file, for apps that run PyTorch's ExecuTorch."""
