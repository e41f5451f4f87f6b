"""Start Azure's server, ask it about pictures, and write down what it said."""

from deploy.asking import Target, try_it

AZURE_ML = Target(
    "Azure ML",
    "deploy.azure_ml",
    "/",
    "/score",
    packages=("azureml-inference-server-http", "gunicorn", "onnxruntime"),
    stages=True,
)

if __name__ == "__main__":
    try_it(AZURE_ML)
