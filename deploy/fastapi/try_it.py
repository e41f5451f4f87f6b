"""Start the FastAPI server, ask it about pictures, and write down what it said."""

from deploy.asking import Target, as_form, as_it_is, try_it

FASTAPI = Target("FastAPI", "deploy.fastapi", "/healthz", "/predict", as_form, as_it_is)

if __name__ == "__main__":
    try_it(FASTAPI)
