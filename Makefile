# Everything runs in .venv, which any target sets up. A target may be repeated.
PYTHON ?= python3
# A GPU machine gets PyPI's CUDA builds of the same versions.
TORCH ?= torch==2.13.0 torchvision==0.28.0
BIN := .venv/bin

.PHONY: help demo page benchmark gpu test test-all fuzz lint clean

help:
	@echo "make demo      generate a small dataset, train PMCM on it, show what it learned (6 minutes on 2 cores)"
	@echo "make page      search generated persons by an image in the browser"
	@echo "make benchmark train baseline and PMCM anew on SynthVI, compare with the published table (40 minutes)"
	@echo "make gpu       check everything on a CUDA GPU, with a report in logs/gpu (8 minutes; tools/gpu.py --help)"
	@echo "make test      run the test suite"
	@echo "make test-all  the same, every variant of every backbone, and the README's commands (more than half an hour)"
	@echo "make fuzz      10,000 damaged files, wrong values and odd calls, and a few killed trainings"
	@echo "make lint      ruff and mypy"
	@echo "make clean     remove .venv and the demo's output"
	@echo "make help      this list"
	@echo "PYTHON=python3.12 names another interpreter, TORCH=\"torch==... torchvision==...\" other versions of PyTorch"

# torch first and alone: torchvision pins it. FastReID last and without its dependencies: its metadata
# pins torch 1.13.1, which does not exist for current Pythons; pyproject.toml lists what it needs.
.venv/ready: pyproject.toml
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 10))" || \
		{ echo "Python >= 3.10 is needed; name one with: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv .venv
	for package in $(TORCH); do $(BIN)/pip install --quiet $$package || exit 1; done
	$(BIN)/pip install --quiet --editable ".[dev]"
	$(BIN)/pip install --quiet --no-deps fastreid==1.4.0
	touch $@

demo: .venv/ready
	$(BIN)/python tools/demo.py

page: .venv/ready
	$(BIN)/python tools/run.py page --folder demo/page

benchmark: .venv/ready
	$(BIN)/python tools/reproduce.py

gpu: .venv/ready
	$(BIN)/python tools/gpu.py

test: .venv/ready
	$(BIN)/python -m pytest -n auto --dist loadfile

test-all: .venv/ready
	$(BIN)/python -m pytest -n auto --dist loadfile -m "full or not full"

fuzz: .venv/ready
	$(BIN)/python tests/fuzz/run.py

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf .venv demo
