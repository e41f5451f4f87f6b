"""Start the FastAPI server, ask it about pictures, and write down what it said."""

from deploy.asking import Target, as_form, try_it

FASTAPI = Target("FastAPI", "deploy.fastapi", "/healthz", "/predict", as_form)

if __name__ == "__main__":
    try_it(FASTAPI)
