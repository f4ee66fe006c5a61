# make run: the whole system on sample data. make test: every test. CONTRIBUTING.md has the rest.
PYTHON ?= python3
PORT ?= 8000
VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin
export PORT

.PHONY: run test coverage chaos bench lint requirements audit clean

run: $(VENV)/.installed
	@PATH="$(BIN):$$PATH" exec bin/run

test: $(VENV)/.installed-dev
	@PATH="$(BIN):$$PATH" python -m pytest -n 2 --dist worksteal $(ARGS)

coverage: override ARGS += --cov --cov-report=term
coverage: test

chaos: $(VENV)/.installed-dev
	@PATH="$(BIN):$$PATH" AVO_CHAOS=long python -m pytest tests/end_to_end -k chaos --timeout 7200 $(ARGS)

lint: $(VENV)/.installed-dev
	@PATH="$(BIN):$$PATH" sh -c 'ruff format . && ruff check --fix . && mypy && lint-imports && \
	  python manage.py redis_acl --sample >deploy/redis/users.acl'

requirements: $(VENV)/.installed-dev
	@for name in requirements requirements-dev requirements-otel requirements-audit; do \
	  $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-strip-extras --no-emit-index-url --no-header \
	    --custom-compile-command 'make requirements' -o $$name.txt $$name.in $(ARGS); done

audit: $(VENV)/.installed $(VENV)-audit/.installed
	@$(VENV)-audit/bin/cyclonedx-py environment --of JSON --output-reproducible -o $(VENV)-audit/sbom.cdx.json $(VENV)/bin/python
	@PATH="$(CURDIR)/$(VENV)-audit/bin:$$PATH" python .ci/audit.py $(VENV)-audit/sbom.cdx.json

clean:
	rm -rf $(VENV) $(VENV)-audit var .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(VENV)/.installed: requirements.txt
	@echo "Installing into $(VENV)"
	@test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt $(VENV)/.installed
	@echo "Installing the test dependencies into $(VENV)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

$(VENV)-audit/.installed: requirements-audit.txt
	@echo "Installing the tools of the audit into $(VENV)-audit"
	@test -x $(VENV)-audit/bin/python || $(PYTHON) -m venv $(VENV)-audit
	@$(VENV)-audit/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-audit.txt
	@touch $@
