# A Debian with Python 3.11 and its venv module is all that these need; whatever else they use goes into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
FMD_VENV := .bench-fmd
FMD_RELEASE := 5.1.0
SPEEDSCOPE := var/tools/node_modules/speedscope
SPEEDSCOPE_RELEASE := 1.25.0
AXE := var/tools/node_modules/axe-core
AXE_RELEASE := 4.14.1

# What `make demo ARGS="--help"` hands on; likewise for test and bench.
ARGS ?=

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo test test-mysql lint format bench scale clean system-packages

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(VENV)/.for-development system-packages $(SPEEDSCOPE)/package.json $(AXE)/package.json ## Make .venv with all that developing needs; as root also Chromium and databases

demo: $(VENV)/.for-demo ## Run the example shop under load with its dashboard (options: make demo ARGS="--help")
	@cd examples && exec ../$(BIN)/python -m demo $(ARGS)

test: setup ## Run the whole suite (a part of it: make test ARGS="-k overview")
	$(BIN)/python -m pytest $(ARGS)

test-mysql: setup ## Run the tests of MariaDB on MySQL itself (a Debian fetches one into var/tools)
	mysqld=$$(.ci/mysql-server) && TEST_MYSQLD=$$mysqld $(BIN)/python -m pytest -k "mariadb or mysql" tests/databases $(ARGS)

lint: $(VENV)/.for-development ## Check style, types and import directions
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.for-development ## Format the code and mend what ruff can
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: $(VENV)/.for-demo $(FMD_VENV)/.installed ## Measure the cost of monitoring (options: make bench ARGS="--help")
	@$(BIN)/python -m benchmarks.cpu $(ARGS)

scale: $(VENV)/.for-demo $(FMD_VENV)/.installed ## Measure ten million requests (options: make scale ARGS="--help")
	@$(BIN)/python -m benchmarks.scale $(ARGS)

clean: ## Remove the environments, caches and the demo's data
	rm -rf $(VENV) $(FMD_VENV) var build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

# The demo waits for nothing that only tests need.
$(VENV)/.for-demo: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' \
		|| { echo "$(PYTHON) is missing or older than 3.10; name another one: make PYTHON=python3.11 ..." >&2; exit 1; }
	@echo "Making $(VENV): a minute or two, once."
	@$(PYTHON) -m venv $(VENV) \
		|| { echo "The remedy, as root: apt-get install python3-venv" >&2; exit 1; }
	@$(PIP) install --quiet --upgrade 'pip>=25.1'
	@$(PIP) install --quiet --editable '.[dashboard]' --group demo
	@touch $@

$(VENV)/.for-development: $(VENV)/.for-demo
	@echo "Adding the tools for tests and checks."
	@$(PIP) install --quiet --group test --group lint
	@touch $@

system-packages:
	@.ci/system-packages

# Tools of tests, never a part of what is installed: speedscope opens the profiles that the dashboard exports, and
# axe-core looks for what keeps people with impairments out of its pages.
NPM_INSTALL := npm install --silent --no-audit --no-fund --ignore-scripts --prefix var/tools
$(SPEEDSCOPE)/package.json:
	@$(NPM_INSTALL) 'speedscope@$(SPEEDSCOPE_RELEASE)' \
		|| echo "speedscope could not be installed, so a test will be skipped. The remedy: apt-get install npm" >&2
# One after the other: npm takes away what another npm is about to write into the same folder.
$(AXE)/package.json: | $(SPEEDSCOPE)/package.json
	@$(NPM_INSTALL) 'axe-core@$(AXE_RELEASE)' \
		|| echo "axe-core could not be installed, so tests will be skipped. The remedy: apt-get install npm" >&2

# Flask-MonitoringDashboard pins what it needs, hence an environment of its own. Without it the comparison is left out.
$(FMD_VENV)/.installed:
	@echo "Making $(FMD_VENV) with Flask-MonitoringDashboard $(FMD_RELEASE), to compare with."
	@$(PYTHON) -m venv $(FMD_VENV)
	@$(FMD_VENV)/bin/python -m pip --disable-pip-version-check install --quiet \
		'Flask-MonitoringDashboard==$(FMD_RELEASE)' gunicorn && touch $@ \
		|| echo "It could not be installed: the benchmark runs without it." >&2
