# Needs make and Python 3.11 or newer; everything else is installed into .venv.

VENV := .venv
PY := $(VENV)/bin/python
PYTHON ?= # interpreter for a new .venv; empty: the first that fits
JOBS ?= logical
PYTEST_ARGS ?=
SEEDS ?= 1000
SIMULATE_ARGS ?= # for example --first 1001, or --days 30
MYPY_ARGS ?=
DEMO_ARGS ?=
BENCH_ARGS ?=
REPORT_ARGS ?= # for example --from 2026-01-10
PACKAGE_ARGS ?= # for example --architecture x86_64
LOCK_ARGS ?= # for example --upgrade, or --upgrade-package polars
SYNTH_ARGS ?= # for example --package dist/some.zip
PLAN_ARGS ?=
FROM ?= # the first day of a backfill, such as 2026-01-01
TO ?= # the last one
BACKFILL_ARGS ?= # for example --yes, --profile prod, or --account 012345678901
REASON ?= # only dead letters with this text in their reason
TERRAFORM ?= terraform
TF_INIT_ARGS ?= # for example -upgrade
TF_PLUGIN_DIR ?= # a folder of provider plugins, in place of a registry
TF_LOCK_PLATFORMS ?= # for example linux_amd64 darwin_arm64: a hand-over with a lock file for both
UV_VERSION := 0.13.9

COMMAND := $(VENV)/.command
READY := $(VENV)/.ready
INFRA := $(VENV)/.infra
# What these pin does not go together with the rest: each has an environment of its own.
CHECKOV_VENV := .cache/checkov-venv
CHECKOV_READY := $(CHECKOV_VENV)/.ready
CDKTN_VENV := .cache/cdktn-venv
CDKTN_READY := $(CDKTN_VENV)/.ready
HTTPFS_VENV := .cache/httpfs-venv
HTTPFS_READY := $(HTTPFS_VENV)/.ready
PIP := $(PY) -m pip --disable-pip-version-check --no-input

# mypy refuses to be given a folder without a single Python file.
TYPED := $(wildcard app.py) $(foreach folder,lambda_src stacks tests bench bundle examples,\
	$(if $(wildcard $(folder)/*.py $(folder)/*/*.py $(folder)/*/*/*.py),$(folder)))

# ENV=dev names one environment. A shell's start file is called ENV, too: a path is not meant.
ONE_ENV := $(if $(findstring /,$(ENV)),,$(strip $(ENV)))
SYNTHESIZE = $(PY) app.py $(if $(ONE_ENV),--environment '$(ONE_ENV)') $(SYNTH_ARGS)

define need_environment
if [ -z '$(ONE_ENV)' ]; then \
  echo "error: which environment? For example: make $@ ENV=dev" >&2; exit 2; \
fi
endef

# Runs each candidate, since a version manager's shim may exist and fail.
define find_python
python=; \
for candidate in $(or $(strip $(PYTHON)),python3.13 python3.14 python3.12 python3.11 python3); do \
  if "$$candidate" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
  then python=$$candidate; break; fi; \
done; \
if [ -z "$$python" ]; then \
  echo "error: no Python >= 3.11 that can make virtual environments among:" \
    "$(or $(strip $(PYTHON)),python3.13 python3.14 python3.12 python3.11 python3)." >&2; \
  echo "Install one (on Debian and Ubuntu python3-venv too), or name it: make PYTHON=/path/to/python3" >&2; \
  exit 1; \
fi
endef

# A virtual environment of its own, from the lock that is the first prerequisite.
define make_tool
$(find_python); \
echo "installing $< into $(1)"; \
"$$python" -m venv --clear $(1) && \
$(1)/bin/python -m pip --disable-pip-version-check --no-input install -qq \
  --require-hashes -r $< && touch $@
endef

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { \
	    name[++n] = $$1; about[n] = $$2; if (length($$1) > width) width = length($$1) \
	  } END { for (i = 1; i <= n; i++) printf "  make %-" width "s  %s\n", name[i], about[i] }' Makefile

.PHONY: install
install: $(READY) ## make .venv with everything locked in requirements/dev.txt

.PHONY: demo
demo: $(COMMAND) ## make sample logs below build/demo, convert them and query the result
	@$(PY) examples/demo.py $(DEMO_ARGS)

.PHONY: report
report: $(COMMAND) ## write a report of the demo's dataset, made if it is not there
	@test -d build/demo/dataset || $(PY) examples/demo.py $(DEMO_ARGS)
	@$(PY) -m cloudtrail_parquet.cli report build/demo/dataset --source build/demo/logs \
	  --to 2026-01-12 -o build/demo/report.html $(REPORT_ARGS)

.PHONY: test
test: tools ## run the tests; PYTEST_ARGS="-k name" selects, JOBS=0 runs them in one process
	CHECKOV=$(abspath $(CHECKOV_VENV))/bin/checkov \
	  env -u PYTHONDONTWRITEBYTECODE $(PY) -m pytest -n $(JOBS) --maxprocesses 8 --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

.PHONY: test-arm64
test-arm64: $(READY) ## run the arm64 package on an emulated processor, with packages of Debian
	$(PY) -m pytest -m arm64 tests/bundle $(PYTEST_ARGS)

.PHONY: test-pages
test-pages: $(READY) ## look at a report in Chromium, with packages of Debian
	$(PY) -m pytest -m browser tests/end_to_end/test_report_in_browser.py $(PYTEST_ARGS)

.PHONY: test-ceph
test-ceph: $(READY) ## run the tests of S3 against Ceph's gateway, with packages of Debian
	S3_SERVER=ceph $(PY) -m pytest -n 2 --dist loadfile tests/s3 $(PYTEST_ARGS)

.PHONY: simulate
simulate: $(READY) ## play SEEDS=10000 seeds of the simulation, JOBS=2 at a time
	@$(PY) -m tests.simulation --seeds $(SEEDS) \
	  $(if $(filter-out logical,$(JOBS)),--jobs $(JOBS)) $(SIMULATE_ARGS)

.PHONY: tools
tools: $(READY) $(INFRA) $(CHECKOV_READY) ## install all that the tests need; make -j2 installs two things at a time

.PHONY: lint
lint: $(READY) $(INFRA) ## check rules, formatting and types
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy $(strip $(MYPY_ARGS) $(TYPED))

.PHONY: format
format: $(READY) ## format the code and apply the safe fixes
	$(PY) -m ruff check --fix-only .
	$(PY) -m ruff format .

.PHONY: bench
bench: $(READY) ## measure a conversion: seconds, peak memory, sizes
	@$(PY) -m bench.convert $(BENCH_ARGS)

.PHONY: httpfs
httpfs: $(HTTPFS_READY) ## install the DuckDB that reads S3 for bench.organisation

.PHONY: package
package: $(READY) ## build the Lambda zip, its digest and its bill of materials in dist/
	@$(PY) -m bundle.package $(PACKAGE_ARGS)

.PHONY: synth
synth: $(READY) $(INFRA) ## write Terraform JSON of every environment, or of ENV=dev, to cdktf.out/
	@$(SYNTHESIZE)

.PHONY: plan
plan: $(READY) $(INFRA) ## package, synth, then terraform init and plan, for ENV=dev
	@$(need_environment)
	@$(SYNTHESIZE)
	$(TERRAFORM) -chdir='cdktf.out/stacks/$(ONE_ENV)' init -input=false \
	  $(if $(TF_PLUGIN_DIR),-plugin-dir='$(abspath $(TF_PLUGIN_DIR))') $(TF_INIT_ARGS)
	$(TERRAFORM) -chdir='cdktf.out/stacks/$(ONE_ENV)' plan -input=false $(PLAN_ARGS)

.PHONY: handover
handover: $(READY) $(INFRA) ## write dist/prod/ for ENV=prod: plain Terraform that another team applies
	@$(need_environment)
	@$(PY) app.py --handover --environment '$(ONE_ENV)' $(SYNTH_ARGS)
	$(if $(strip $(TF_LOCK_PLATFORMS)),$(TERRAFORM) -chdir='dist/$(ONE_ENV)' providers lock \
	  $(if $(TF_PLUGIN_DIR),-fs-mirror='$(abspath $(TF_PLUGIN_DIR))') \
	  $(addprefix -platform=,$(TF_LOCK_PLATFORMS)))

# Queues, locations and settings are those of the outputs of Terraform.
DEPLOYED = TERRAFORM='$(TERRAFORM)' $(PY) -m stacks.deployed '$(ONE_ENV)'

.PHONY: backfill
backfill: $(READY) ## convert the days FROM=2026-01-01 TO=2026-01-31 by the queue of ENV=prod
	@$(need_environment)
	@if [ -z '$(strip $(FROM))' ] || [ -z '$(strip $(TO))' ]; then \
	  echo "error: which days? For example: make $@ ENV=$(ONE_ENV) FROM=2026-01-01 TO=2026-01-31" >&2; \
	  exit 2; \
	fi
	@$(DEPLOYED) start --from '$(strip $(FROM))' --to '$(strip $(TO))' $(BACKFILL_ARGS)

.PHONY: status
status: $(READY) ## show how far the last backfill of ENV=prod is, once or with BACKFILL_ARGS=--watch
	@$(need_environment)
	@$(DEPLOYED) status $(BACKFILL_ARGS)

.PHONY: cancel
cancel: $(READY) ## remove what of the last backfill of ENV=prod still waits in its queue
	@$(need_environment)
	@$(DEPLOYED) cancel $(BACKFILL_ARGS)

.PHONY: redrive
redrive: $(READY) ## show why events of ENV=prod failed, all or REASON=…, and send them again
	@$(need_environment)
	@$(DEPLOYED) redrive $(if $(strip $(REASON)),--reason '$(strip $(REASON))') $(BACKFILL_ARGS)

.PHONY: cdktn
cdktn: tools $(CDKTN_READY) ## run the tests with cdktn, the community fork of cdktf
	CDKTN=$(abspath $(CDKTN_VENV))/bin/python $(PY) -m pytest -m cdktn $(PYTEST_ARGS)

.PHONY: lock
lock: ## pin the dependencies again; LOCK_ARGS=--upgrade takes newer versions
	@$(find_python); set -e; \
	[ -x .cache/uv-$(UV_VERSION)/bin/uv ] || { \
	  "$$python" -m venv --clear .cache/uv-$(UV_VERSION); \
	  .cache/uv-$(UV_VERSION)/bin/python -m pip --disable-pip-version-check install --quiet uv==$(UV_VERSION); \
	}; \
	compile=".cache/uv-$(UV_VERSION)/bin/uv pip compile --quiet --universal \
	  --python-version 3.11 --fork-strategy fewest --generate-hashes \
	  --cache-dir .cache/uv $(LOCK_ARGS)"; \
	export UV_CUSTOM_COMPILE_COMMAND="make lock"; \
	$$compile --group lambda --output-file requirements/runtime.txt; \
	$$compile pyproject.toml --extra dev --group lambda --constraints requirements/runtime.txt \
	  --output-file requirements/dev.txt; \
	$$compile pyproject.toml --group demo --constraints requirements/dev.txt \
	  --output-file requirements/demo.txt; \
	$$compile pyproject.toml --extra infra --constraints requirements/dev.txt \
	  --output-file requirements/infra.txt; \
	$$compile pyproject.toml --extra cdktn --constraints requirements/dev.txt \
	  --output-file requirements/cdktn.txt; \
	$$compile --group policy --output-file requirements/checkov.txt; \
	$$compile --group httpfs --output-file requirements/httpfs.txt; \
	if grep -n '://' requirements/*.txt; then echo "error: a lock names a host" >&2; exit 1; fi

.PHONY: clean
clean: ## remove .venv, caches and built files
	rm -rf $(VENV) .cache .hypothesis .mypy_cache .pytest_cache .ruff_cache build dist
	rm -rf node_modules cdktf.out
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The command, and no more than it imports: enough for the demo. Editable: a path entry and the console
# script. Its build backend is in the lock, so no index is asked for one.
$(COMMAND): requirements/demo.txt pyproject.toml lambda_src/cloudtrail_parquet/version.py
	@if ! $(PY) -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	  $(find_python); \
	  echo "making $(VENV) with $$("$$python" --version)"; \
	  "$$python" -m venv --clear $(VENV) || exit 1; \
	fi
	@echo "installing requirements/demo.txt into $(VENV)"
	@$(PIP) install -qq --require-hashes -r requirements/demo.txt
	@$(PIP) install -qq --no-index --no-deps --no-build-isolation --editable .
	@touch $@

# After $(COMMAND), since two pips in one environment would get in each other's way.
$(READY): requirements/dev.txt $(COMMAND)
	@echo "installing requirements/dev.txt into $(VENV), about a minute the first time"
	@$(PIP) install -qq --require-hashes -r requirements/dev.txt
	@touch $@

$(INFRA): requirements/infra.txt $(READY)
	@echo "installing requirements/infra.txt into $(VENV), about half a minute the first time"
	@$(PIP) install -qq --require-hashes -r requirements/infra.txt
	@touch $@

$(CHECKOV_READY): requirements/checkov.txt
	@$(call make_tool,$(CHECKOV_VENV))

$(CDKTN_READY): requirements/cdktn.txt
	@$(call make_tool,$(CDKTN_VENV))

$(HTTPFS_READY): requirements/httpfs.txt
	@$(call make_tool,$(HTTPFS_VENV))
