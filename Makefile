# ozzo: two commands do all the set-up on a fresh machine: 'make run' and 'make test'.
SCENARIO ?= configs/almere.yaml
# processes that share the tests: more than two cores, because many tests wait for real processes
WORKERS ?= 3
export OZZO_DATA ?= $(if $(wildcard ../shared/data),$(abspath ../shared/data))
export OZZO_SPEC ?= $(if $(wildcard ../shared/spec),$(abspath ../shared/spec))
export OZZO_INSTANCES ?= $(if $(wildcard ../shared/instances),$(abspath ../shared/instances))
# an empty value means unset
ifeq ($(OZZO_DATA),)
unexport OZZO_DATA
endif
ifeq ($(OZZO_SPEC),)
unexport OZZO_SPEC
endif
ifeq ($(OZZO_INSTANCES),)
unexport OZZO_INSTANCES
endif

# bytecode is kept: else every test worker and every ozzo that a test starts compiles the project and the tests anew
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
# installing and testing are steps in this order, also with make -j
.NOTPARALLEL:
.PHONY: help run test kernels check bench servers docs faults soak clean

help: ## what can be made
	@sed -n 's/^\([a-z]*\):.*## /make \1\t/p' Makefile | expand -t 16

.venv/.ozzo-run: pyproject.toml constraints.txt scripts/setup.sh
	@bash scripts/setup.sh run
	@touch $@

.venv/.ozzo-dev: pyproject.toml constraints.txt scripts/setup.sh
	@bash scripts/setup.sh dev
	@touch $@ .venv/.ozzo-run

run: .venv/.ozzo-run ## plan, rehearse, command and report the example district (or SCENARIO=file)
	@.venv/bin/ozzo run $(SCENARIO)

check: .venv/.ozzo-dev ## ruff, formatting, mypy --strict
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

servers:
	@bash scripts/servers.sh

# test files in which a marker stands: collecting all the others takes each worker ten seconds
marked = $$(grep -rl --include='test_*.py' 'mark\.$(1)\b' tests)

# kernels are compiled while the rest is installed and checked: several tests at once would each compile them for themselves
kernels: .venv/.ozzo-run
	@rm -f .venv/kernels.done; \
	( .venv/bin/ozzo bench replan --size S --time 3 --warm-time 3 --json > .venv/kernels.log 2>&1; echo $$? > .venv/kernels.done ) > /dev/null 2>&1 &

test: kernels .venv/.ozzo-dev servers ## everything that CI runs: checks, tests with coverage
	@$(MAKE) --no-print-directory check
	@until [ -s .venv/kernels.done ]; do sleep 0.2; done
	@[ "$$(cat .venv/kernels.done)" = 0 ] || { cat .venv/kernels.log; echo "the kernels could not be compiled and used: see above"; exit 1; }
	.venv/bin/coverage erase
	@failed=0; set -x; \
	.venv/bin/coverage run -m pytest --numprocesses $(WORKERS) --dist loadfile -m 'not long and not alone and not slow' || failed=1; \
	.venv/bin/coverage combine --quiet && .venv/bin/coverage report --fail-under=90 || failed=1; \
	.venv/bin/python -m pytest --durations=25 --numprocesses $(WORKERS) --dist loadfile -m 'slow and not long and not alone' $(call marked,slow) || failed=1; \
	.venv/bin/python -m pytest --numprocesses 2 -m alone $(call marked,alone) || failed=1; \
	exit $$failed

bench: .venv/.ozzo-dev ## speed, as ratios against a baseline run beside it; the optimiser beside HiGHS and CP-SAT, the network beside pandapower; the world beside Vessim, sweeps by two processes beside one; live control beside a bare paho loop
	.venv/bin/python -m benchmarks
	.venv/bin/ozzo bench optimiser $(if $(OZZO_INSTANCES),--instances $(OZZO_INSTANCES)) --size S,M
	.venv/bin/ozzo bench network
	.venv/bin/ozzo bench world
	.venv/bin/ozzo bench sweep
	.venv/bin/ozzo bench control
	.venv/bin/ozzo bench freeze

docs: .venv/.ozzo-dev ## write again what is generated: reference, JSON Schema, dashboards, the page of scenarios (runs all of them)
	.venv/bin/ozzo reference --out docs/reference.md
	.venv/bin/ozzo schema --out docs/scenario.schema.json
	.venv/bin/ozzo schema --protocol --out docs/protocol/commands.schema.json
	.venv/bin/ozzo dashboards --out dashboards
	.venv/bin/ozzo scenarios --out docs/scenarios.md

faults: .venv/.ozzo-dev servers ## break the live plane in every way that is tested, and write docs/faults.md from it
	OZZO_FAULTS=docs/faults.md .venv/bin/python -m pytest tests/live/test_faults.py tests/live/test_ground_faults.py tests/live/test_serve.py

# half an hour unless MINUTES says otherwise
MINUTES ?= 30
SEED ?= 0
soak: .venv/.ozzo-dev servers ## the live plane under random faults (MINUTES=30 SEED=0); fails unless all counters are zero
	.venv/bin/ozzo bench soak --minutes $(MINUTES) --seed $(SEED)

clean: ## remove the environment and caches (runs/ stays)
	rm -rf .venv .mypy_cache .ruff_cache .hypothesis .coverage .coverage.*
