# The lesson's commands. Each sets up .venv from requirements.txt first, once.
PYTHON ?= python3
BIN := .venv/bin
LESSON := 09_pytorch_model_deployment.ipynb
READY := .venv/.ready

.PHONY: help lesson lab demo pocket test bench reliability refresh lint

help:  ## show the commands
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(READY): requirements.txt tests/requirements.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --upgrade pip
	$(BIN)/python -m pip install -r requirements.txt -r tests/requirements.txt
	@touch $@

lesson: $(READY)  ## run the whole lesson and write the demo folder
	$(BIN)/python tools/run_lesson.py

lab: $(READY)  ## open the lesson in JupyterLab
	$(BIN)/jupyter lab $(LESSON)

demo: $(READY)  ## serve the Gradio app on this computer
	$(BIN)/python tools/serve_demo.py

pocket: $(READY)  ## serve the demo that runs in the browser itself
	$(BIN)/python tools/serve_pocket.py

test: $(READY)  ## run the lesson as a test, and all other tests
	$(BIN)/python -m pytest

bench: $(READY)  ## measure everything against the usual way
	$(BIN)/python benchmarks/bench.py

reliability: $(READY)  ## renew the README's reliability table
	$(BIN)/python -m pytest tests/test_demo*.py tests/test_lesson_faults.py --renew-reliability

lint: $(READY)  ## check the style of code and notebook
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

refresh: $(READY)  ## renew the outputs stored in the committed notebook
	$(BIN)/python tools/run_lesson.py --refresh
