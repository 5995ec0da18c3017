# `make help` lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

CARGO ?= cargo
# Where cargo puts what it builds.
BUILT := $(or $(CARGO_TARGET_DIR),target)
# Where `up` keeps its data.
HOLDFAST_DIR ?= .holdfast
export HOLDFAST_DIR

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: servers programs ## Install what is missing, build, start the whole stack and take the tour; Ctrl-C stops it
	@exec "$(BUILT)/release/holdfast" up --tour

.PHONY: servers
servers: ## Install PostgreSQL, Redis and a C compiler where they are missing
	@scripts/install-servers

.PHONY: programs
programs: ## Build the services and the command line as they are deployed
	$(CARGO) build --release --locked -p holdfast-cli -p holdfast-jobs -p holdfast-locks -p holdfast-relay

.PHONY: build
build: ## Build every binary for development
	$(CARGO) build --workspace --bins --locked

.PHONY: test
test: servers build ## Run every test that does not take minutes, against servers that the tests start themselves
	$(CARGO) test --workspace --locked $(TEST_TARGETS)

# Which test programs `test` runs, as cargo's flags; all where empty.
TEST_TARGETS ?=

.PHONY: test-pgbouncer
test-pgbouncer: servers build ## Run the same tests with every service behind PgBouncer in transaction mode (1.21 or later, installed if need be)
	@scripts/install-pgbouncer
	HOLDFAST_TEST_PGBOUNCER=1 $(CARGO) test --workspace --locked

# Seconds of faults in each scenario of `test-system`.
PROOF_SECONDS ?= 60

.PHONY: test-system
test-system: servers build ## Run the system tests for longer (Patroni's failover where scripts/install-patroni has run), then against the broken twins, which they must find (minutes)
	HOLDFAST_PROOF_SECONDS=$(PROOF_SECONDS) $(CARGO) test --workspace --test system --locked -- --test-threads=1
	tests/twins/run

.PHONY: bench
bench: servers has-npm has-pip bench-build ## Measure everything but soak and growth and write docs/benchmarks.md (about an hour; one experiment: target/release/bench NAME)
	"$(BUILT)/release/bench" all

.PHONY: bench-long
bench-long: servers bench-build ## A soak of SOAK_MINUTES and look-ups with up to 10 million jobs, after `bench` (some 40 minutes, 16 GB of disk)
	"$(BUILT)/release/bench" soak --minutes $(SOAK_MINUTES)
	"$(BUILT)/release/bench" growth
	"$(BUILT)/release/bench" docs

# Of the soak of `bench-long`.
SOAK_MINUTES ?= 10

.PHONY: bench-build
bench-build:
	$(CARGO) build --release --locked -p holdfast-jobs -p holdfast-locks -p holdfast-relay -p holdfast-benches

# Two of the queues that `bench` runs beside ours are packages for Node.js.
.PHONY: has-npm
has-npm:
	@command -v npm >/dev/null || { echo "npm is needed for the queues beside ours: apt-get install npm" >&2; exit 1; }

# etcd, which `bench` runs beside our locks, is in a package for Python.
.PHONY: has-pip
has-pip:
	@python3 -m pip --version >/dev/null || { echo "pip is needed for the locks beside ours: apt-get install python3-pip" >&2; exit 1; }

.PHONY: lint
lint: servers ## Check formatting, lints, the contracts, that the metadata of queries is what the migrations say, and what may come in
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	scripts/contracts check
	scripts/sqlx-metadata check
	@if command -v cargo-deny >/dev/null; then $(CARGO) deny --locked check; else echo "cargo deny check: skipped, cargo-deny is not installed"; fi

.PHONY: proto
proto: ## Write the bindings of proto/ anew
	HOLDFAST_PROTO_WRITE=1 $(CARGO) test -p holdfast-proto --test drift --locked

.PHONY: sqlx
sqlx: servers ## Write the metadata of checked queries (.sqlx) anew, from a database with every migration applied
	scripts/sqlx-metadata write

.PHONY: migrate
migrate: build ## Apply pending migrations to the running development stack
	"$(BUILT)/debug/holdfast" migrate up

.PHONY: clean
clean: ## Remove what was built and the development stack with all its data
	@home=$$(cat "$(HOLDFAST_DIR)/run/postgres.home" 2>/dev/null || true); \
		case "$$home" in /var/lib/holdfast-dev-*/postgres) rm -rf -- "$${home%/postgres}" ;; esac
	rm -rf -- "$(HOLDFAST_DIR)"
	$(CARGO) clean
