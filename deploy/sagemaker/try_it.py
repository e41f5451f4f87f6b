"""Start SageMaker's server, ask it about pictures, and write down what it said."""

from deploy.asking import Target, try_it

SAGEMAKER = Target("AWS SageMaker", "deploy.sagemaker", "/ping", "/invocations")

if __name__ == "__main__":
    try_it(SAGEMAKER)
