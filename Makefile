# The two commands: `make install` and `make train`. Everything happens in .venv; PYTHON=python3.12 picks an interpreter.
PYTHON ?= python3
RUN ?= runs/cartpole
MINUTES ?= 60
PARALLEL ?= -n 2 --dist loadgroup
BIN := .venv/bin
STAMP := .venv/.installed
PIP := PYTHONWARNINGS=ignore $(BIN)/python -m pip --disable-pip-version-check
SHELL := bash
.SHELLFLAGS := -euo pipefail -c

.PHONY: install train test test-slow mutants drill soak lint docs golden clean

install: $(STAMP)

# Torch goes first: it is the largest by far, and a failure of the rest does not fetch it again.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Sparring needs Python 3.11 or later, $(PYTHON) is " + sys.version.split()[0] + ": make install PYTHON=...")'
	@test -x $(BIN)/python || { echo "[1/3] Creating a virtual environment in .venv"; $(PYTHON) -m venv .venv; }
	@echo "[2/3] Installing torch, the largest part"
	@$(PIP) install --quiet --constraint constraints.txt torch
	@echo "[3/3] Installing sparring with all its extras, as pinned in constraints.txt"
	@$(PIP) install --quiet --constraint constraints.txt --editable '.[ray,mujoco,atari,box2d,play,plot,data,text,evolution,peers,dev]'
	@touch $@
	@echo "Installed. Next: make train"

train: install
	@run='$(RUN)'; if [ -e "$$run" ]; then run="$$run-$$(date +%Y%m%d-%H%M%S)"; fi; \
	echo "Training PPO on CartPole-v1 with two Ray actors into $$run"; \
	$(BIN)/python scripts/train.py configs/ppo/cartpole.yaml runtime.kind=ray runtime.actors=2 --run-dir "$$run"; \
	echo "Evaluating $$run over 100 episodes, without exploration"; \
	$(BIN)/python scripts/evaluate.py "$$run" --env CartPole-v1 --episodes 100; \
	echo "Curves: $(BIN)/tensorboard --logdir $$run"

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint
	$(BIN)/python -m pytest -q --durations=10 $(PARALLEL)

test-slow: install
	$(BIN)/python -m pytest -q -m slow

# Which changes of the mathematics no test would notice; FILES="agents/maths/losses.py" for these alone. Takes hours.
mutants: install
	$(BIN)/python scripts/mutants.py $(FILES)

# What was once found broken, tried again by real commands: docs/reliability.md.
drill: install
	$(BIN)/python scripts/drill.py

# A run is killed at random and resumed, MINUTES long, and must end like one that nobody disturbed.
soak: install
	$(BIN)/python scripts/soak.py --minutes $(MINUTES)

# Regenerates the tables in docs/: options from the configs' own help texts, algorithms from the registry.
docs: install
	$(BIN)/python scripts/docs.py

# Writes the golden traces anew, after a change that was meant to change numbers.
golden: install
	$(BIN)/python -m tests.traces

# Runs stay: they cost time. The virtual environment goes with `rm -r .venv`.
clean:
	rm -rf .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build dist *.egg-info
	find agents envs experiment generative supervised sparring scripts tests -name __pycache__ -prune -exec rm -rf {} +
