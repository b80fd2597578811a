# The two commands are `make shell` and `make test`; everything else is for working on DevBoxGPU.
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3)
RUN := .venv/bin/python
PATHS := function_app.py api activities orchestrators shared client localcloud scripts tests benchmarks

APP ?= .
PORT ?= 7071

# The suite starts some thousand Python processes: each module is to be compiled once, whatever the environment says.
unexport PYTHONDONTWRITEBYTECODE

CHECKS := style types types-win32 imports contracts secrets

.PHONY: shell test env up down status check $(CHECKS:%=check-%) format lock clean bench host conformance fuzz openapi sbom reference

shell: env
	@$(RUN) -m localcloud up --quiet && $(RUN) -m localcloud shell

test: check
	@$(RUN) -m pytest -n 4 --dist worksteal

env:
	@$(PYTHON) scripts/make_env.py

up: env
	@$(RUN) -m localcloud up

down: env
	@$(RUN) -m localcloud down

status: env
	@$(RUN) -m localcloud status

check: env
	@$(MAKE) --no-print-directory -j 2 $(CHECKS:%=check-%)

check-style:
	@$(RUN) -m ruff format --check --quiet $(PATHS) || { echo "run 'make format'"; exit 1; }
	@$(RUN) -m ruff check --quiet $(PATHS)

check-types:
	@$(RUN) -m mypy

check-types-win32:
	@$(RUN) -m mypy --platform win32 --cache-dir .mypy_cache/win32 --exclude '/agent/' client/devboxgpu

check-imports:
	@.venv/bin/lint-imports >/tmp/devboxgpu-imports.$$$$ 2>&1 || { cat /tmp/devboxgpu-imports.$$$$; exit 1; }; rm -f /tmp/devboxgpu-imports.$$$$

check-contracts:
	@$(RUN) -m scripts.contracts

check-secrets:
	@$(RUN) -m scripts.secrets_scan

format: env
	@$(RUN) -m ruff format --quiet $(PATHS)
	@$(RUN) -m ruff check --quiet --fix $(PATHS)

lock: env
	@$(RUN) scripts/lock.py

# Serve any Python functions app in the foreground: make host APP=DIR [PORT=7071] [FLAGS="--reload --strict"]
host: env
	@$(RUN) -m localcloud.functions_host "$(APP)" --port $(PORT) $(FLAGS)

# Hold the host against what was recorded of the vendor's own; about five minutes.
conformance: env
	@$(RUN) -m localcloud.conformance $(FLAGS)

bench: env
	@$(RUN) -m benchmarks

# Send thousands of requests made from the API's document to a running host; some minutes. CASES=150 SEED=1
fuzz: env
	@$(RUN) -m scripts.fuzz

# What the deployed app is made of: build/sbom.json (CycloneDX) and docs/licences.md. After `make lock`.
sbom: env
	@$(RUN) -m scripts.sbom

# The API's document as a file, for clients that are generated.
openapi: env
	@$(RUN) -m scripts.openapi

# The command's reference, docs/reference.md, from the command itself.
reference: env
	@$(RUN) -m scripts.reference

clean:
	@if [ -x $(RUN) ]; then $(RUN) -m localcloud down --quiet || true; fi
	@rm -rf .localcloud
