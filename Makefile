# `make help` lists the targets.
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

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

run: $(VENV)/.run ## set up, run the pipeline, print the scores
	dvc repro
	@echo && cat reports/report.md

init: $(VENV)/.run ## write params.yaml for the files in SOURCE: a zip, a folder or a Kaggle slug (YES=1: accept all guesses)
	@$(COMMAND).init $(call argument,SOURCE) $(if $(YES),--yes) $(ARGS)

test: $(VENV)/.dev ## run the tests (eight minutes on two cores)
	$(PYTEST) -m "not thorough and not long"

test-ci: $(VENV)/.dev ## run what CI runs: also kill, damage and repeat stages (a quarter of an hour)
	$(PYTEST) -m "not long"

test-long: $(VENV)/.dev ## run the longest tests: 2,000 generated competitions, a pipeline per layout, exports
	$(PYTEST) -m long

test-fast: $(VENV)/.dev ## run only the fast tests (under a minute)
	$(PYTEST) -m "not slow"

faults: $(VENV)/.dev ## kill the pipeline N times, at moments spread evenly over each stage, and check that it resumes (N=60)
	python tests/faults/kills.py $(call argument,N)

bench: $(VENV)/.run ## run the benchmarks in docs/performance.md (half an hour)
	for name in loader model memory prepare start nothing growth; do python benchmarks/$$name.py || exit; done

check: $(VENV)/.dev ## run ruff and mypy
	ruff check
	ruff format --check
	mypy

lock: $(VENV)/.dev ## resolve requirements*.in into requirements*.txt
	$(LOCK) requirements.in --output-file requirements.txt
	$(LOCK) requirements-dev.in --output-file requirements-dev.txt

train: $(VENV)/.run ## train all models and folds, JOBS at a time (default: one per GPU)
	@$(COMMAND).jobs $(call argument,JOBS)

recipe: $(VENV)/.run ## merge the recipe NAME into params.yaml (no NAME: list the recipes)
	@$(COMMAND).recipe $(call argument,NAME)

lr-range: $(VENV)/.run ## run a learning-rate range test for MODEL (PHASE=2: its second phase)
	@$(COMMAND).lr_range $(call argument,MODEL) $(call argument,PHASE,--phase )

batch-size: $(VENV)/.run ## find the largest batch size of MODEL and write it to params.yaml
	@$(COMMAND).batch_size $(call argument,MODEL)

submit: $(VENV)/.run ## check submissions/<slug>.csv and submit it with MESSAGE (DRY=1: check only; WAIT=20: minutes to wait for the score)
	@$(COMMAND).submit $(call argument,MESSAGE,--message ) $(if $(DRY),--dry-run) $(call argument,WAIT,--wait )

history: $(VENV)/.run ## list all submissions and compare their public and out-of-fold scores
	@$(COMMAND).history

kernel: $(VENV)/.run ## export for a code competition (PUSH=1: upload, run and submit it; WHEELS=1, OWNER, TITLE, MESSAGE, WAIT)
	@$(COMMAND).export $(if $(PUSH),--push) $(if $(WHEELS),--wheels) $(call argument,OWNER,--owner ) \
		$(call argument,TITLE,--title ) $(call argument,WAIT,--wait ) $(call argument,MESSAGE,--message )

handover: $(VENV)/.run ## pack the archive for prize winners (MEASURE=1: reproduce the submission and time it)
	@$(COMMAND).handover $(if $(MEASURE),--measure)

clean: ## delete the pipeline's outputs, except the raw archive and the submission history
	cd data && rm -rf params.checked metric.json images train.csv test.csv sample_submission.csv \
		duplicates.csv prepared.json folds.csv folds.json predictions ensemble
	rm -rf models/*/ metrics reports
	find submissions -mindepth 1 ! -name README.md ! -name history.csv -delete

$(VENV)/.uv:
	$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Podium needs Python 3.11 or later, not " + sys.version.split()[0] + ". Run make PYTHON=python3.11 …")'
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check $(UV)
	@touch $@

$(VENV)/.run: requirements.txt $(VENV)/.uv
	VIRTUAL_ENV="$(CURDIR)/$(VENV)" uv pip sync --quiet --require-hashes --compile-bytecode requirements.txt
	@rm -f $(VENV)/.dev && touch $@

$(VENV)/.dev: requirements-dev.txt $(VENV)/.run
	VIRTUAL_ENV="$(CURDIR)/$(VENV)" uv pip install --quiet --require-hashes --compile-bytecode -r requirements-dev.txt
	@touch $@
