# `make help` lists the targets. Go and root are all that they need; what else a part needs it installs from Debian's
# packages, or says what to install.
GO ?= go
# Debian's names of what `make generate` and `make kernels` need. clang also links the tests, for their -race.
TOOLS := clang-19 llvm-19 libbpf-dev linux-libc-dev libc6-dev qemu-system-x86 xz-utils

.DEFAULT_GOAL := build

.PHONY: build
build: ## build bin/ebbtide
	$(GO) build -o bin/ebbtide ./cmd/ebbtide

.PHONY: demo
demo: ## a small game, 200 players, a flip, a drain; BREAK=1 takes pinning out and must end red
	$(GO) run ./test/demo $(if $(BREAK),-break)

.PHONY: test
test: lint generated kernels ## everything: objects, lint, other kernels, unit, datapath and end-to-end tests, with -race
	CGO_ENABLED=1 CC=clang-19 $(GO) test -race -count=1 -timeout 25m -p 1 ./...
	$(GO) test -count=1 ./test/leak

.PHONY: bench
bench: ## the packet path against the floor; writes bench.json
	$(GO) run ./test/bench

.PHONY: generate
generate: tools ## rebuild the BPF objects and their Go bindings
	$(GO) generate ./...

.PHONY: generated
generated: tools ## prove that the committed objects are what the sources build
	$(GO) run ./test/generated

.PHONY: lint
lint: ## gofmt, vet, staticcheck
	@out=$$(gofmt -l .); if [ -n "$$out" ]; then echo "gofmt would change:"; echo "$$out"; exit 1; fi
	$(GO) vet ./...
	$(GO) tool staticcheck ./...

.PHONY: kernels
kernels: tools ## the data plane's tests on Debian's 6.1 and 6.12 kernels, in QEMU
	$(GO) run ./test/kernels

.PHONY: tools
tools:
	@missing=; for t in clang-19 llvm-strip-19 qemu-system-x86_64 xz; do command -v $$t >/dev/null || missing=$$t; done; \
	test -z "$$missing" && test -e /usr/include/bpf/bpf_helpers.h || { \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $(TOOLS) >/dev/null; } || { \
	  echo "needs root to install, or: apt-get install $(TOOLS)"; exit 1; }

.PHONY: clean
clean: ## remove what was built
	rm -rf bin bench.json

.PHONY: help
help: ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12
