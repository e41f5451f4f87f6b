"""Start SageMaker's server, ask it about pictures, and write down what it said."""

from deploy.asking import Target, as_it_is, try_it


def pack(picture: bytes) -> tuple[bytes, str]:
    """Send a picture file as it is."""
    return picture, "application/octet-stream"


SAGEMAKER = Target(
    "AWS SageMaker", "deploy.sagemaker", "/ping", "/invocations", pack, as_it_is
)

if __name__ == "__main__":
    try_it(SAGEMAKER)
