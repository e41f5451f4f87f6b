"""Start TorchServe, ask it about pictures, and write down what it said."""

from deploy.asking import Target, try_it

TORCHSERVE = Target(
    "TorchServe",
    "deploy.torchserve",
    "/ping",
    "/predictions/foodvision_mini",
    packages=("torchserve", "torch", "onnxruntime"),
    stages=True,
    archive="foodvision_mini.mar",
)

if __name__ == "__main__":
    try_it(TORCHSERVE)
