# Two commands do everything: `make run` the main job on the built-in demo, `make test` the tests.
# Both make .venv first, from lock files with hashes. PYTHON chooses the interpreter (3.11 or newer).
PYTHON ?= $(shell command -v python3.11 || command -v python3)
CORES ?= all
CONFIG ?= config/config.yaml
BIN := .venv/bin

.PHONY: run test exercise benchmark benchmark-phenotype setup setup-dev lint format lock clean help

help:
	@sed -n 's/^# //p; s/^\([a-z-]*\):.*## /  make \1: /p' Makefile

run: .venv/installed ## a pseudo cohort from the demo, or from CONFIG=config/other.yaml
	$(BIN)/snakemake --cores $(CORES) --configfile $(CONFIG)

test: .venv/installed-dev ## the tests
	$(BIN)/pytest

exercise: .venv/installed-dev ## the trainees' notebook on the pseudo cohort in results, with its pictures: results/exercise.ipynb
	$(BIN)/jupyter-execute resources/exercise.ipynb --output=$(CURDIR)/results/exercise.ipynb

benchmark: .venv/installed .venv-peers/installed ## time and memory of the genome engine beside other programs
	$(BIN)/python benchmarks/genome.py

setup: .venv/installed ## only the virtual environment
setup-dev: .venv/installed-dev ## the same with the tests' and linters' packages

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed: apt install python3 python3-venv"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed, $(PYTHON) is older: make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -m venv .venv || \
	  { rm -rf .venv; echo "The module venv is missing: apt install python3-venv"; exit 1; }

.venv/installed: envs/requirements.txt | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r envs/requirements.txt
	@touch $@

.venv/installed-dev: envs/requirements-dev.txt | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r envs/requirements-dev.txt
	@touch .venv/installed $@

.venv-peers/installed: envs/requirements-peers.txt | .venv/bin/python
	$(BIN)/python -m venv --clear .venv-peers
	.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r envs/requirements-peers.txt
	@touch $@

# Plain pins, no hashes: torch is a CPU build on one machine and a CUDA build of 3 GB on another.
.venv-phenotype-peers/installed: envs/requirements-phenotype-peers.in | .venv/bin/python
	$(BIN)/python -m venv --clear .venv-phenotype-peers
	.venv-phenotype-peers/bin/python -m pip install --quiet --disable-pip-version-check -r envs/requirements-phenotype-peers.in
	@.venv-phenotype-peers/bin/python -c "import torch, sys; sys.exit(torch.version.cuda is None)" || \
	  .venv-phenotype-peers/bin/python -m pip uninstall --quiet --yes torchaudio torchvision
	@touch $@

benchmark-phenotype: .venv/installed .venv-phenotype-peers/installed ## the models of the items beside other programs (an hour)
	$(BIN)/python benchmarks/phenotype.py --data all --peers benchmarks/out/phenotype_peers

lint: .venv/installed-dev ## ruff, snakefmt and snakemake --lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check workflow
	$(BIN)/snakemake --lint

format: .venv/installed-dev ## write the code in the house's form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt workflow

lock: .venv/installed-dev ## new lock files from envs/*.in
	$(BIN)/python -m pip install --quiet uv
	cd envs && for kind in requirements requirements-dev requirements-peers; do \
	  ../$(BIN)/uv pip compile --quiet --universal --upgrade --generate-hashes --no-header --no-annotate \
	    --no-emit-index-url --python-version 3.11 --override overrides.txt $$kind.in -o $$kind.txt; done

clean: ## remove results, logs and the workflow's memory, keep the virtual environment
	rm -rf results logs .snakemake
