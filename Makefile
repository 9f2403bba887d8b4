# `make help` lists the targets.
PYTHON ?= python3
# WSL sets NAME, so it counts only on the command line.
override NAME := $(if $(filter command%,$(origin NAME)),$(value NAME))
# What users may set. The values reach commands through the environment only ("$$SOURCE"): neither make nor the
# shell interprets them.
override VARIABLES := PYTHON SOURCE YES ARGS NAME MODEL PHASE MESSAGE DRY WAIT PUSH WHEELS OWNER TITLE MEASURE JOBS N HOURS WRITE CLUSTER GPUS CPUS ON GPU MODELS HEAD SET TRIALS FOLDS LIST PLOT
# Without an address, other things would happen than the user expects.
$(foreach name,HEAD CLUSTER,$(if $(filter command%,$(origin $(name))),$(if $(value $(name)),,\
  $(error $(name)= is empty. Set it to host:port of a head, or leave $(name)= out))))
$(if $(filter command%,$(origin ON)),$(if $(value ON),,$(error ON= is empty. Set it to kaggle, or leave ON= out)))
# No setting is ignored.
override GIVEN = $(firstword $(foreach name,$(1),$(if $(filter command%,$(origin $(name))),$(name))))
$(if $(value ON),$(if $(call GIVEN,CLUSTER JOBS GPUS CPUS),\
  $(error $(call GIVEN,CLUSTER JOBS GPUS CPUS) does not apply to ON=kaggle. Leave one of them out)),\
  $(if $(filter train,$(MAKECMDGOALS)),$(if $(call GIVEN,GPU HOURS MODELS),\
  $(error $(call GIVEN,GPU HOURS MODELS) requires ON=kaggle. Add it or leave $(call GIVEN,GPU HOURS MODELS) out))))
$(foreach name,$(VARIABLES),$(eval override $(name) := $$(value $(name))))
export $(VARIABLES)
export PATH := $(CURDIR)/.venv/bin:$(value PATH)
override UV := uv==0.13.8
# In place of the shell, so that a signal to make reaches it.
override COMMAND := exec env PYTHONPATH=src python -m commands
override KAGGLE_GPU := $(COMMAND).kaggle_gpu $${GPU:+--gpu="$$GPU"} $${HOURS:+--hours="$$HOURS"} $${MODELS:+--models="$$MODELS"}
override PYTEST := pytest --numprocesses auto --dist worksteal
override LOCK := uv pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest \
	--generate-hashes --no-header --no-annotate
# The scripts in .venv contain its path: set it up again if it was moved or copied, or if its Python is gone.
ifneq ($(shell test -x .venv/bin/python && cat .venv/.path 2>/dev/null),$(realpath .venv))
.PHONY: .venv/.uv
endif

.DEFAULT_GOAL := help
.PHONY: help run init look test test-ci test-long test-fast test-gpu test-cluster test-browser test-trackers faults bench check lock plan train predict watch node search trackers recipe lr-range batch-size seeds pseudo submit history kernel handover clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 14

run: .venv/.run ## set up, run the pipeline, print the scores
	dvc repro
	@echo && cat reports/report.md

init: .venv/.run ## write params.yaml for the files in SOURCE: a zip, a folder or a Kaggle slug (YES=1: accept all guesses; ARGS: options)
	@PODIUM_INIT_ARGS="$$ARGS" $(COMMAND).init $${YES:+--yes} $${SOURCE:+-- "$$SOURCE"}

look: .venv/.run ## explore the data before training: near-duplicates, label errors, drift, shortcuts (reports/data.html)
	dvc repro explore
	@echo "Open $$PWD/reports/data.html in a browser."

test: .venv/.dev ## run the tests
	$(PYTEST) -m "not thorough and not long"

test-ci: .venv/.dev ## run what CI runs: also kill, damage and repeat stages (twelve minutes on two cores)
	$(PYTEST) -m "not long"

test-long: .venv/.dev ## run the longest tests: 2,000 generated competitions, a pipeline per layout, exports
	$(PYTEST) -m long

test-fast: .venv/.dev ## run only the fast tests (under a minute)
	$(PYTEST) -m "not slow"

test-gpu: .venv/.dev ## run the tests that need a GPU (two minutes)
	pytest -m gpu tests/training tests/models tests/commands

test-cluster: .venv/.dev .venv/.cluster .venv/.search ## run the tests that need Ray or Optuna: two nodes on this machine (ten minutes)
	pytest tests/cluster tests/search

test-browser: .venv/.dev .venv/.browser ## open the pages in headless Chromium (Debian's package chromium)
	pytest -m browser tests/pages

test-trackers: .venv/.dev .venv/.trackers ## run the tests that log to TensorBoard, MLflow, W&B (offline) and Trackio (ten minutes)
	pytest -m trackers tests/training

faults: .venv/.dev ## kill the pipeline N times, at moments spread evenly over each stage, and check that it resumes (N=60)
	python tests/faults/kills.py $${N:+-- "$$N"}

bench: .venv/.run ## run the benchmarks in docs/performance.md (half an hour)
	for name in loader model memory prepare start nothing growth; do python benchmarks/$$name.py || exit; done

check: .venv/.dev ## run ruff and mypy
	ruff check
	ruff format --check
	mypy

lock: .venv/.dev ## resolve requirements*.in into requirements*.txt
	$(LOCK) requirements.in --output-file requirements.txt
	$(LOCK) requirements-dev.in --output-file requirements-dev.txt
	$(LOCK) requirements-cluster.in --output-file requirements-cluster.txt
	$(LOCK) requirements-search.in --output-file requirements-search.txt
	$(LOCK) requirements-trackers.in --output-file requirements-trackers.txt
	$(LOCK) requirements-browser.in --output-file requirements-browser.txt
	$(LOCK) benchmarks/requirements-score.in --output-file benchmarks/requirements-score.txt

plan: .venv/.run ## measure the time and memory that params.yaml needs (HOURS=9: does it fit?; WRITE=1: compare features, which init --quick skips)
	@$(COMMAND).plan $${HOURS:+--hours="$$HOURS"} $${WRITE:+--write}

train: .venv/.run $(if $(value CLUSTER),.venv/.cluster) ## train all models and folds, JOBS at a time (default: one per GPU); CLUSTER=host:port or auto: on several machines (GPUS, CPUS: per task); ON=kaggle: on Kaggle's GPUs (GPU=T4x2 or P100, HOURS per notebook, MODELS=a,b)
	@if test -n "$$ON"; then $(KAGGLE_GPU) -- "$$ON"; \
	elif test -n "$$CLUSTER$$GPUS$$CPUS"; then \
		$(COMMAND).cluster $${GPUS:+--gpus="$$GPUS"} $${CPUS:+--cpus="$$CPUS"} $${CLUSTER:+-- "$$CLUSTER"}; \
	else $(COMMAND).jobs $${JOBS:+-- "$$JOBS"}; fi

predict: .venv/.run ## predict with all trained models on Kaggle's GPUs: ON=kaggle (GPU, HOURS, MODELS as for train; on this machine: dvc repro)
	@$(KAGGLE_GPU) --predict -- "$$ON"

watch: .venv/.run ## show all active training runs in one table
	@$(COMMAND).watch

trackers: .venv/.trackers ## install the experiment trackers (`trackers` in params.yaml)

node: .venv/.cluster ## join the cluster at HEAD=host:port, or start one without HEAD (ARGS: options of `ray start`)
	@PODIUM_NODE_ARGS="$$ARGS" $(COMMAND).node $${HEAD:+-- "$$HEAD"}

search: .venv/.run .venv/.search $(if $(value CLUSTER),.venv/.cluster) ## search the ranges in SET for MODEL with TRIALS on FOLDS (JOBS at a time; CLUSTER, GPUS, CPUS); LIST=1, PLOT=1: show the trials; WRITE=1: write the best values to params.yaml
	@$(COMMAND).search $${SET:+--set="$$SET"} $${TRIALS:+--trials="$$TRIALS"} $${FOLDS:+--folds="$$FOLDS"} \
		$${JOBS:+--jobs="$$JOBS"} $${CLUSTER:+--cluster="$$CLUSTER"} $${GPUS:+--gpus="$$GPUS"} $${CPUS:+--cpus="$$CPUS"} \
		$${LIST:+--list} $${PLOT:+--plot} $${WRITE:+--write} $${MODEL:+-- "$$MODEL"}

recipe: .venv/.run ## merge the recipe NAME into params.yaml (no NAME: list the recipes)
	@$(COMMAND).recipe $${NAME:+-- "$$NAME"}

lr-range: .venv/.run ## run a learning-rate range test for MODEL (PHASE=2: its second phase)
	@$(COMMAND).lr_range $${PHASE:+--phase="$$PHASE"} $${MODEL:+-- "$$MODEL"}

batch-size: .venv/.run ## find the largest batch size of MODEL and write it to params.yaml
	@$(COMMAND).batch_size $${MODEL:+-- "$$MODEL"}

seeds: .venv/.run ## train MODEL with N seeds, each a model of its own in params.yaml (N=1: remove the others)
	@$(COMMAND).seeds $${N:+--count="$$N"} $${MODEL:+-- "$$MODEL"}

pseudo: .venv/.run ## freeze the members' predictions of the test images, and let MODEL train on them (pseudo_labels)
	@$(COMMAND).pseudo $${MODEL:+-- "$$MODEL"}

submit: .venv/.run ## check submissions/<slug>.csv and submit it with MESSAGE (DRY=1: check only; WAIT=20: minutes to wait for the score)
	@$(COMMAND).submit $${MESSAGE:+--message="$$MESSAGE"} $${DRY:+--dry-run} $${WAIT:+--wait="$$WAIT"}

history: .venv/.run ## list all submissions and compare their public and out-of-fold scores
	@$(COMMAND).history

kernel: .venv/.run ## export for a code competition (PUSH=1: upload, run and submit it; WHEELS=1, OWNER, TITLE, MESSAGE, WAIT)
	@$(COMMAND).export $${PUSH:+--push} $${WHEELS:+--wheels} $${OWNER:+--owner="$$OWNER"} \
		$${TITLE:+--title="$$TITLE"} $${WAIT:+--wait="$$WAIT"} $${MESSAGE:+--message="$$MESSAGE"}

handover: .venv/.run ## pack the archive for prize winners (MEASURE=1: reproduce the submission and time it)
	@$(COMMAND).handover $${MEASURE:+--measure}

clean: ## delete the pipeline's outputs, except the raw archive and the submission history
	cd data && rm -rf params.checked metric.json explore.json images train.csv test.csv sample_submission.csv \
		submission_rows.csv files.csv shared_columns.csv duplicates.csv prepared.json folds.csv folds.json \
		features predictions ensemble
	rm -rf models/*/ metrics reports
	find submissions -mindepth 1 ! -name README.md ! -name history.csv -delete

.venv/.uv:
	@"$$PYTHON" -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Podium needs Python 3.11 or later, not " + sys.version.split()[0] + ". Run make PYTHON=python3.11 …")'
	@test ! -e .venv || echo "Setting up .venv again: it was moved or copied, or was not made by make."
	rm -rf .venv/bin
	"$$PYTHON" -m venv --clear .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check $(UV)
	@cd .venv && pwd -P > .path && touch .uv

.venv/.run: requirements.txt .venv/.uv
	VIRTUAL_ENV="$$PWD/.venv" uv pip sync --quiet --require-hashes --compile-bytecode requirements.txt
	@rm -f .venv/.dev .venv/.cluster .venv/.search .venv/.trackers .venv/.browser && touch $@

.venv/.cluster: requirements-cluster.txt .venv/.run
	VIRTUAL_ENV="$$PWD/.venv" uv pip install --quiet --require-hashes --compile-bytecode -r requirements-cluster.txt
	@touch $@

.venv/.search: requirements-search.txt .venv/.run
	VIRTUAL_ENV="$$PWD/.venv" uv pip install --quiet --require-hashes --compile-bytecode -r requirements-search.txt
	@touch $@

.venv/.trackers: requirements-trackers.txt .venv/.run
	VIRTUAL_ENV="$$PWD/.venv" uv pip install --quiet --require-hashes --compile-bytecode -r requirements-trackers.txt
	@touch $@

.venv/.browser: requirements-browser.txt .venv/.run
	VIRTUAL_ENV="$$PWD/.venv" uv pip install --quiet --require-hashes --compile-bytecode -r requirements-browser.txt
	@touch $@

.venv/.dev: requirements-dev.txt .venv/.run
	VIRTUAL_ENV="$$PWD/.venv" uv pip install --quiet --require-hashes --compile-bytecode -r requirements-dev.txt
	@touch $@
