"""Start Ray Serve, ask it about pictures, and write down what it said."""

from deploy.asking import Target, as_it_is, try_it
from deploy.sagemaker.try_it import pack

RAY_SERVE = Target(
    "Ray Serve",
    "deploy.ray",
    "/-/healthz",
    "/predict",
    pack,
    as_it_is,
    packages=("ray", "onnxruntime"),
)

if __name__ == "__main__":
    try_it(RAY_SERVE)
