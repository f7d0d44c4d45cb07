# The commands of the project. `make demo` and `make test` install what is missing and need nothing
# by hand; the rest of the work is in scripts/ and in `slot-loadtest`.

CARGO ?= cargo
# Right after Rust's installer a shell may not know its folder yet.
export PATH := $(PATH):$(HOME)/.cargo/bin

LOADTEST := target/quick/slot-loadtest

.DEFAULT_GOAL := help
.PHONY: help demo test up down lint build quick deps

help: ## This list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1 \t\2/p' $(MAKEFILE_LIST) | expand -t 16

demo: deps quick ## A whole sale on real servers, audited; the report is .run/report.json
	$(LOADTEST) demo

test: deps build ## All tests, on real servers
	$(CARGO) test --locked --workspace

up: deps quick ## Start the stack and leave it running; how to reach it is in .run/stack.json
	$(LOADTEST) up

down: ## Stop what `make up` started
	@if [ -x $(LOADTEST) ]; then $(LOADTEST) down; else echo "nothing is up: $(LOADTEST) is not built"; fi

lint: deps ## Format, clippy and rustdoc, warnings denied
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --workspace --no-deps

# Tests start the module and the binaries from the target folder: all must be there, and of one age.
build: ## Everything, as the tests use it
	$(CARGO) build --locked --workspace

# Release code without the long link; --lib for the module.
quick:
	$(CARGO) build --locked --profile quick --workspace --lib --bins

deps: ## Install what is missing
	@scripts/install-deps
