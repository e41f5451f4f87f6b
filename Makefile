# The lesson's commands. Each sets up .venv first, once, from requirements.txt. A .venv
# that is there already is kept with what is in it, such as a PyTorch without CUDA.
PYTHON ?= python3
UV := $(shell command -v uv)
BIN := .venv/bin
LESSON := 09_pytorch_model_deployment.ipynb
READY := .venv/.ready
QUICK := not slow and not browser and not cluster
WHICH := import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is \
needed, and this is %s: name one, as in make PYTHON=python3.12" % sys.version.split()[0])

.PHONY: help setup lesson companions lab site demo pocket check test colab targets \
    bench reliability stick constraints refresh

help:  ## show the commands
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(READY): requirements.txt tests/requirements.txt pyproject.toml
	@$(BIN)/python -c '$(WHICH)' 2>/dev/null || rm -rf .venv  # none, too old, or broken
ifdef UV
	test -x $(BIN)/python || uv venv --seed --python $(PYTHON) .venv
	@$(BIN)/python -c '$(WHICH)' || { rm -rf .venv; exit 1; }
	uv pip install --python $(BIN)/python -r tests/requirements.txt -e .
else
	@test -x $(BIN)/pip || $(PYTHON) -c '$(WHICH)'
	test -x $(BIN)/pip || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --upgrade pip
	$(BIN)/python -m pip install -r tests/requirements.txt -e .
endif
	@touch $@

setup: $(READY)  ## only set up .venv, for an editor to open the lesson with

lesson: $(READY)  ## run the whole lesson and write the demo folder
	$(BIN)/python -m tools.run_lesson

companions: $(READY)  ## run all nine companions
	$(BIN)/python -m tools.run_lesson --companions

lab: $(READY)  ## open the lesson in JupyterLab
	$(BIN)/jupyter lab $(LESSON)

site: $(READY)  ## write the site to read, with the model alive on it, build/site/
	$(BIN)/python -m tools.make_site

demo: $(READY)  ## serve the Gradio app on this computer
	$(BIN)/python -m tools.serve_demo

pocket: $(READY)  ## serve the demo that runs in the browser itself
	$(BIN)/python -m tools.serve_demo --pocket

check: $(READY)  ## style, and every quick test: in about a minute
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -n 2 -m "$(QUICK)" tests

test: $(READY)  ## run the lesson as a test, and all other tests
	$(BIN)/python -m pytest -n 2

colab: $(READY)  ## run the lesson with Colab's packages, 12 GB: make colab LIST=pip-freeze.txt
	bash tools/try_colab.sh $(BIN)/python $(LIST)

targets: $(READY)  ## install and try every place of deploy/
	$(BIN)/python -m tools.try_targets

bench: $(READY)  ## measure everything against the usual way
	$(BIN)/python -m benchmarks.bench

reliability: $(READY)  ## renew the README's reliability table
	$(BIN)/python -m pytest --renew-reliability \
	    tests/test_app_model.py tests/test_demo*.py tests/test_lesson_faults.py

stick: $(READY)  ## fill build/stick/ for a classroom without internet
	$(BIN)/python -m tools.fill_stick

constraints: $(READY)  ## write down the versions that are installed here
	@mkdir -p build
	(head -n 3 constraints.txt; $(BIN)/pip freeze --exclude-editable | grep ==) > build/new.txt
	mv build/new.txt constraints.txt

refresh: $(READY)  ## renew the outputs stored in the committed notebooks
	$(BIN)/python -m tools.run_lesson --refresh
