# `make run`: from the competition's files to a submission. `make test`: all tests. `make help`: the rest.
PYTHON ?= python3
VENV := .venv
UV := uv==0.13.8
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
COMMAND := PYTHONPATH=src python -m commands
PYTEST := pytest --numprocesses auto --dist worksteal
LOCK := uv pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest \
	--generate-hashes --no-header --no-annotate
# $(call argument,NAME,--option ): the variable's value, quoted for the shell, if it is set.
argument = $(if $(value $1),$2'$(subst ','\'',$(value $1))')
unexport SOURCE NAME MODEL PHASE MESSAGE OWNER TITLE

.DEFAULT_GOAL := help
.PHONY: help run init test test-ci test-long test-fast faults bench check lock train recipe lr-range batch-size submit history kernel handover clean

help: ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

run: $(VENV)/.run ## set up, run the pipeline, print the scores and the submission's path
	dvc repro
	@echo && cat reports/report.md

init: $(VENV)/.run ## SOURCE=…: look at a folder, zip or Kaggle competition, write params.yaml (YES=1: ask nothing)
	@$(COMMAND).init $(call argument,SOURCE) $(if $(YES),--yes) $(ARGS)

test: $(VENV)/.dev ## set up and run the tests, eight minutes on two cores
	$(PYTEST) -m "not thorough and not long"

test-ci: $(VENV)/.dev ## and those that kill, damage and repeat stages, and train each recipe: a quarter of an hour
	$(PYTEST) -m "not long"

test-long: $(VENV)/.dev ## the rest: a pipeline a layout, 2,000 made-up competitions, exports run elsewhere
	$(PYTEST) -m long

test-fast: $(VENV)/.dev ## the tests that take under a minute together
	$(PYTEST) -m "not slow"

faults: $(VENV)/.dev ## N=60: kill the pipeline N times at random moments, and run it again
	python tests/faults/kills.py $(call argument,N)

bench: $(VENV)/.run ## the benchmarks of docs/performance.md (half an hour; a quiet machine)
	for what in loader model memory prepare start nothing growth; do python benchmarks/$$what.py || exit; done

check: $(VENV)/.dev ## ruff and mypy
	ruff check
	ruff format --check
	mypy

lock: $(VENV)/.dev ## resolve requirements*.in anew into the full locks
	$(LOCK) requirements.in --output-file requirements.txt
	$(LOCK) requirements-dev.in --output-file requirements-dev.txt

train: $(VENV)/.run ## JOBS=n: train n models and folds at once, one a GPU by default
	@$(COMMAND).jobs $(call argument,JOBS)

recipe: $(VENV)/.run ## NAME=…: write a recipe into params.yaml; without NAME, list them
	@$(COMMAND).recipe $(call argument,NAME)

lr-range: $(VENV)/.run ## MODEL=…: plot the loss over the learning rate (after `dvc repro folds`)
	@$(COMMAND).lr_range $(call argument,MODEL) $(call argument,PHASE,--phase )

batch-size: $(VENV)/.run ## MODEL=…: write the largest batch size that fits into params.yaml
	@$(COMMAND).batch_size $(call argument,MODEL)

submit: $(VENV)/.run ## MESSAGE=…: check submissions/<slug>.csv, submit it, wait for the score (DRY=1: check only)
	@$(COMMAND).submit $(call argument,MESSAGE,--message ) $(if $(DRY),--dry-run) $(call argument,WAIT,--wait )

history: $(VENV)/.run ## what was submitted, and how public scores go with out-of-fold ones
	@$(COMMAND).history

kernel: $(VENV)/.run ## export for a code competition; PUSH=1: send and submit it (OWNER, TITLE, WHEELS=1, WAIT, MESSAGE)
	@$(COMMAND).export $(if $(PUSH),--push) $(if $(WHEELS),--wheels) $(call argument,OWNER,--owner ) \
		$(call argument,TITLE,--title ) $(call argument,WAIT,--wait ) $(call argument,MESSAGE,--message )

handover: $(VENV)/.run ## MEASURE=1: the archive that Kaggle asks of prize winners (MEASURE: try it, time it)
	@$(COMMAND).handover $(if $(MEASURE),--measure)

clean: ## remove what the pipeline made; the raw archive, the history and DVC's cache stay
	cd data && rm -rf params.checked metric.json images train.csv test.csv sample_submission.csv \
		duplicates.csv prepared.json folds.csv folds.json predictions ensemble
	rm -rf models/*/ metrics reports
	find submissions -mindepth 1 ! -name README.md ! -name history.csv -delete

$(VENV)/.uv:
	$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Podium needs Python 3.11 or later, not " + sys.version.split()[0] + ": make PYTHON=python3.11 …")'
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check $(UV)
	@touch $@

$(VENV)/.run: requirements.txt $(VENV)/.uv
	VIRTUAL_ENV="$(CURDIR)/$(VENV)" uv pip sync --quiet --require-hashes --compile-bytecode requirements.txt
	@rm -f $(VENV)/.dev && touch $@

$(VENV)/.dev: requirements-dev.txt $(VENV)/.run
	VIRTUAL_ENV="$(CURDIR)/$(VENV)" uv pip install --quiet --require-hashes --compile-bytecode -r requirements-dev.txt
	@touch $@
