# All paths here are relative, and programs of .venv are started as `python -m`: a folder's name may hold spaces.

TASKS ?=
PYTHON ?= python3 python python3.13 python3.12 python3.11
VENV_PYTHON := .venv/bin/python
INSTALLED := .venv/.installed
INSTALLED_CLUSTER := .venv/.installed-cluster
# TensorFlow 2.21 has no packages for other versions; ensurepip is what Debian's python3-venv brings.
SUITABLE := import sys, ensurepip, venv; sys.exit(not (3, 11) <= sys.version_info < (3, 14))

.DEFAULT_GOAL := help
.PHONY: help setup run notebooks sync study report figures bench benchmarks documents site graders test quick test-faults lint format check clean

help:  ## Show this list
	@echo "make TARGET, where TARGET is:"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-11s %s\n", $$1, $$2}' Makefile

setup: $(INSTALLED)  ## Make .venv with everything in requirements.txt and requirements-test.txt; every other target does it by itself

run: $(INSTALLED)  ## Execute the notebooks into run/, compare their results with the committed ones (TASKS="Task-1 ..." for some)
	@$(VENV_PYTHON) -m tools.notebooks run $(TASKS)

notebooks: $(INSTALLED)  ## For a change of the work: execute the notebooks, replace all that is committed of them, fill documents and report
	@$(VENV_PYTHON) -m tools.notebooks renew $(TASKS)
	@$(MAKE) --no-print-directory figures documents report

sync: $(INSTALLED)  ## Bring changed text from Task-N.py into Task-N.ipynb, without executing it
	@$(VENV_PYTHON) -m tools.notebooks sync $(TASKS)

study: $(INSTALLED)  ## Repeat the recipes with several seeds: hours; goes on where it stopped (TASKS="Task-2")
	@for task in $(or $(TASKS),Task-1 Task-2); do $(VENV_PYTHON) $$task/study.py || exit 1; done

test: lint check  ## Everything that must hold: lint, check, tests on all cores
	@$(VENV_PYTHON) -m pytest -n logical --dist loadfile

quick: lint  ## Lint, and the tests that need no TensorFlow: in a minute
	@$(VENV_PYTHON) -m pytest -n logical --dist loadfile --quick -m "not slow and not fault"

test-faults: $(INSTALLED_CLUSTER)  ## All tests of faults, the slow ones too (kills, scarce memory, ...): docs/what-it-withstands.md
	@$(VENV_PYTHON) -m tools.faults

lint: $(INSTALLED)  ## Look for mistakes in code and docstrings, odd formatting, and imports that run upwards
	@$(VENV_PYTHON) -m ruff check .
	@$(VENV_PYTHON) -m ruff format --check .
	@$(VENV_PYTHON) -c "from importlinter.cli import lint_imports_command as lint; lint(['--no-logo', '--no-cache'])" >&2

report: $(INSTALLED)  ## Typeset report.pdf from report/ and the committed results
	@$(VENV_PYTHON) -m tools.report build

figures: $(INSTALLED)  ## Draw the README's picture from the committed models, and write them for the explorer
	@$(VENV_PYTHON) -m tools.overview
	@$(VENV_PYTHON) -m tools.explorer build

site: $(INSTALLED)  ## Build the work as pages, with the explorer, in run/site; nothing is executed
	@$(VENV_PYTHON) -m tools.site

graders: $(INSTALLED)  ## Run the notebooks as graders do, each in an environment of its own: most of an hour (TASKS="Task-2")
	@$(VENV_PYTHON) -m nox -- $(TASKS)

bench: $(INSTALLED)  ## Measure speed next to other programs, into run/: a quarter of an hour, with nothing else running
	@$(VENV_PYTHON) -m benchmarks

benchmarks: $(INSTALLED)  ## The same, but replace the committed measurements, and fill the documents
	@$(VENV_PYTHON) -m benchmarks --commit
	@$(VENV_PYTHON) -m tools.documents fill

documents: $(INSTALLED)  ## Write the results into the Markdown files, in the blocks that cog fills
	@$(VENV_PYTHON) -m tools.documents fill

check: $(INSTALLED)  ## Check that no notebook, document or report is older than its sources, and that links lead somewhere
	@$(VENV_PYTHON) -m tools.notebooks check $(TASKS)
	@$(VENV_PYTHON) -m tools.documents check
	@$(VENV_PYTHON) -m tools.report check
	@$(VENV_PYTHON) -m tools.explorer check

format: $(INSTALLED)  ## Format the code and mend what can be mended automatically
	@$(VENV_PYTHON) -m ruff check --fix .
	@$(VENV_PYTHON) -m ruff format .

clean:  ## Remove caches and generated data; .venv and all results stay
	@rm -rf .pytest_cache .ruff_cache .hypothesis .nox Task-*/out.ipynb data/lines.npz data/.*-lines.npz
	@find . -path ./.venv -prune -o -name __pycache__ -type d -exec rm -rf {} +

# The stamp is made last, so that an installation that was interrupted is taken up again.
$(INSTALLED): requirements.txt requirements-test.txt constraints.txt pyproject.toml
	@rm -f $@
	@if ! $(VENV_PYTHON) -c '$(SUITABLE)' 2>/dev/null; then \
		for candidate in $(PYTHON); do \
			if "$$candidate" -c '$(SUITABLE)' 2>/dev/null; then found="$$candidate"; break; fi; \
		done; \
		if [ -z "$$found" ]; then \
			echo "Python 3.11, 3.12 or 3.13 with its venv module is needed, and none of these is one: $(PYTHON) (choose with make PYTHON=...)." >&2; \
			exit 1; \
		fi; \
		"$$found" -m venv --clear .venv; \
	fi
	@echo "Installing the packages of requirements.txt and requirements-test.txt into .venv: a minute or more."
	@$(VENV_PYTHON) -m pip install -q --disable-pip-version-check -r requirements.txt -r requirements-test.txt -c constraints.txt
	@touch $@

# Only the tests of faults need Ray: 285 MB.
$(INSTALLED_CLUSTER): $(INSTALLED) requirements-cluster.txt
	@echo "Installing the packages of requirements-cluster.txt into .venv."
	@$(VENV_PYTHON) -m pip install -q --disable-pip-version-check -r requirements-cluster.txt -c constraints.txt
	@touch $@
