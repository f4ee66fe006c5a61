# make run: the whole system on sample data. make test: every test. CONTRIBUTING.md has the rest.
PYTHON ?= python3
PORT ?= 8000
VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin
export PORT

.PHONY: run test chaos bench lint requirements clean

run: $(VENV)/.installed
	@PATH="$(BIN):$$PATH" exec bin/run

test: $(VENV)/.installed-dev
	@PATH="$(BIN):$$PATH" python -m pytest -n 2 --dist worksteal --cov --cov-report=term $(ARGS)

chaos: $(VENV)/.installed-dev
	@PATH="$(BIN):$$PATH" AVO_CHAOS=long python -m pytest tests/end_to_end -k chaos --timeout 7200 $(ARGS)

lint: $(VENV)/.installed-dev
	@PATH="$(BIN):$$PATH" sh -c 'ruff format . && ruff check --fix . && mypy && lint-imports && \
	  python manage.py redis_acl --sample >deploy/redis/users.acl'

requirements: $(VENV)/.installed-dev
	@for name in requirements requirements-dev requirements-otel; do \
	  $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-strip-extras --no-emit-index-url --no-header \
	    --custom-compile-command 'make requirements' -o $$name.txt $$name.in $(ARGS); done

clean:
	rm -rf $(VENV) var .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(VENV)/.installed: requirements.txt
	@echo "Installing into $(VENV)"
	@test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt $(VENV)/.installed
	@echo "Installing the test dependencies into $(VENV)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@
