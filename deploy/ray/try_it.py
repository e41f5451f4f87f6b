"""Start Ray Serve, ask it about pictures, and write down what it said."""

from deploy.asking import Target, try_it

RAY_SERVE = Target(
    "Ray Serve",
    "deploy.ray",
    "/-/healthz",
    "/predict",
    packages=("ray", "onnxruntime"),
)

if __name__ == "__main__":
    try_it(RAY_SERVE)
