# `make help` lists the targets. Go and root are all that they need; what else a part needs it installs from Debian's
# packages, or says what to install.
GO ?= go
# Debian's names of what `make generate` and `make test-kernels` need. clang also links the tests, for their -race, and the
# examples of hooks are in Python. What the shells make of their completion scripts the shells tell.
TOOLS := clang-19 llvm-19 libbpf-dev linux-libc-dev libc6-dev qemu-system-x86 xz-utils python3 zsh fish bash-completion

.DEFAULT_GOAL := build

.PHONY: build
build: ## build bin/ebbtide
	CGO_ENABLED=0 $(GO) build -o bin/ebbtide ./cmd/ebbtide

.PHONY: demo
demo: ## a small game, 200 players, a flip, a drain; BREAK=1 takes pinning out and must end red; STORY=mmorpg: five releases; UI=1 stays, with the web page
	$(GO) run ./test/demo $(if $(BREAK),-break) $(if $(STORY),-story $(STORY)) $(if $(UI),-ui)

.PHONY: recording
recording: ## record the demo, and draw what README shows of it, in docs/demo
	$(GO) build -o /dev/null ./test/demo # or the recording would begin with waiting for the compiler
	$(GO) run ./test/recording/run

.PHONY: site
site: ## the documentation as HTML, in dist/site: open dist/site/index.html
	$(GO) run ./packaging/site/run

# Tests that take minutes because they run every verb, kill, wait and play whole afternoons: `make test-host` runs them.
HOST_TESTS := $(addprefix github.com/ebbtide/ebbtide/test/,operate survive story soak watch web packages documented recording/run)
# What no run may leave behind is looked for against what was there before.
LOOK_BEFORE = rm -f bin/left-before; $(GO) test -count=1 ./test/leak && test -e bin/left-before || { echo "another run of the tests is under way on this machine"; exit 1; }

# The other kernels take what the tests beside them leave of the CPUs: players wait more than they compute. Players inside of
# them can't wait for a CPU, so those tests come by themselves.
.PHONY: test
test: export EBBTIDE_LEFT_BEFORE := $(CURDIR)/bin/left-before
test: lint generated ## objects, lint, unit, datapath and end-to-end tests, with -race, and other kernels beside them
	@mkdir -p bin/kernels && $(GO) build -o bin/kernels/run ./test/kernels
	@$(LOOK_BEFORE)
	@nice -n 19 bin/kernels/run -suite=-tunnel >bin/kernels/report 2>&1 & guests=$$!; trap 'kill $$guests 2>/dev/null' EXIT INT TERM; \
	CGO_ENABLED=1 CC=clang-19 $(GO) test -race -count=1 -timeout 25m -p 1 $(filter-out $(HOST_TESTS),$(shell $(GO) list ./...)); tests=$$?; \
	wait $$guests; kernels=$$?; trap - EXIT INT TERM; cat bin/kernels/report; test $$tests = 0 && test $$kernels = 0
	bin/kernels/run -suite=tunnel
	$(GO) test -count=1 ./test/leak

.PHONY: test-host
test-host: export EBBTIDE_LEFT_BEFORE := $(CURDIR)/bin/left-before
test-host: tools prometheus web-tools package-tools ## what takes longer: every verb, kill -9 at each write, whole afternoons of releases, a real Prometheus, a browser, a Debian with systemd
	@mkdir -p bin; $(LOOK_BEFORE)
	CGO_ENABLED=1 CC=clang-19 $(GO) test -race -count=1 -timeout 25m -p 1 $(HOST_TESTS)
	$(GO) test -count=1 ./test/leak

.PHONY: soak
soak: tools ## ten million random packets through the program and the model beside it, all mutants, and an hour of flips and kills
	$(GO) test -count=1 -timeout 2h -v -run 'TheProgramAgreesWithTheModel|TheModelFindsEveryMutant' ./test/datapath \
		-packets 10000000 -mutants 1000 -seed $(or $(SEED),0)
	$(GO) run ./test/soak/run -seed $(or $(SEED),0)

.PHONY: bench
bench: ## the packet path against the floor; writes bench.json
	$(GO) run ./test/bench

.PHONY: bench-docs
bench-docs: ## put the figures in bench.json into docs/performance.md, with their plots
	$(GO) run ./test/bench -docs docs

.PHONY: bench-releases
bench-releases: ## fifty services released at once with a million flows: the daemon's CPU and memory, and how late it decides
	$(GO) test -count=1 -timeout 10m -run none -bench FiftyReleasesAtOnce -benchtime 1x ./test/releases

.PHONY: bench-wire
bench-wire: wire-tools ## ebbtide beside nftables' DNAT and haproxy over veth, in network namespaces
	$(GO) run ./test/wire

.PHONY: generate
generate: tools ## rebuild the BPF objects and their Go bindings
	$(GO) generate ./...

.PHONY: ui
ui: web-tools ## rebuild the web page from internal/web/ui; what it builds is committed
	cd internal/web/ui && npm ci --no-audit --no-fund && npm run build

.PHONY: generated
generated: tools ## prove that the committed objects are what the sources build
	$(GO) run ./test/generated

C_SOURCES := find bpf test -name node_modules -prune -o -name '*.[ch]' -print

# clang-tidy counts on stderr the warnings of other people's headers; its findings are on stdout.
.PHONY: lint
lint: lint-tools ## gofmt, vet, staticcheck, unchecked errors; clang-format and clang-tidy; shellcheck
	@out=$$(gofmt -l .); if [ -n "$$out" ]; then echo "gofmt would change:"; echo "$$out"; exit 1; fi
	$(GO) vet ./...
	$(GO) tool staticcheck ./...
	$(GO) build -o bin/lint ./test/lint && $(GO) vet -vettool=$(CURDIR)/bin/lint ./...
	$(C_SOURCES) | xargs clang-format-19 --dry-run -Werror
	clang-tidy-19 --quiet bpf/ebbtide.bpf.c -- -target bpf -O2 -mcpu=v3 -I/usr/include/$$(uname -m)-linux-gnu 2>/dev/null
	shellcheck .ci/run packaging/scripts/*.sh packaging/vagrant/*.sh test/vagrant/*.sh

# A build of its own, by the module proxy: it needs hundreds of modules that nothing else does. The first takes minutes.
GOLANGCI := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

.PHONY: lint-more
lint-more: ## what golangci-lint finds beyond that: gosec, unparam, errorlint, bodyclose; .golangci.yml
	$(GO) run $(GOLANGCI) run --allow-serial-runners ./...

.PHONY: format
format: lint-tools ## gofmt and clang-format, in place; then `make generate`, because objects know the lines they come from
	gofmt -w $$($(GO) list -f '{{.Dir}}' ./...)
	$(C_SOURCES) | xargs clang-format-19 -i

.PHONY: test-kernels
test-kernels: tools ## the data plane, the model, and players behind real tunnels and tags, on Debian's 6.1 and 6.12 kernels, in QEMU
	$(GO) run ./test/kernels

.PHONY: test-arm64
test-arm64: tools ## the maps, a part of the data plane, and players behind tunnels with an arm64 daemon, on Debian's 6.1 for arm64, in QEMU
	@command -v qemu-system-aarch64 >/dev/null || { apt-get update -qq && \
	  DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends qemu-system-arm >/dev/null; } || { \
	  echo "needs root to install, or: apt-get install qemu-system-arm"; exit 1; }
	for suite in maps datapath tunnel; do $(GO) run ./test/kernels -arch arm64 -kernel 6.1 -suite $$suite || exit 1; done

.PHONY: tools
tools:
	@missing=; for t in clang-19 llvm-strip-19 qemu-system-x86_64 xz python3 zsh fish; do command -v $$t >/dev/null || missing=$$t; done; \
	test -z "$$missing" && test -e /usr/include/bpf/bpf_helpers.h && test -e /usr/share/bash-completion/bash_completion || { \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $(TOOLS) >/dev/null; } || { \
	  echo "needs root to install, or: apt-get install $(TOOLS)"; exit 1; }

LINT_TOOLS := clang-format-19 clang-tidy-19 shellcheck

.PHONY: lint-tools
lint-tools:
	@missing=; for t in $(LINT_TOOLS); do command -v $$t >/dev/null || missing=$$t; done; test -z "$$missing" || { \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $(LINT_TOOLS) libbpf-dev linux-libc-dev libc6-dev >/dev/null; } || { \
	  echo "needs root to install, or: apt-get install $(LINT_TOOLS)"; exit 1; }

.PHONY: wire-tools
wire-tools:
	@{ command -v nft && command -v haproxy; } >/dev/null || { \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends nftables haproxy >/dev/null; } || { \
	  echo "needs root to install, or: apt-get install nftables haproxy"; exit 1; }

# Debian's Prometheus and its promtool, unpacked and not installed: that would start a server.
.PHONY: prometheus
prometheus:
	@{ command -v promtool && command -v prometheus; } >/dev/null || test -x bin/prometheus/usr/bin/promtool || { \
	  mkdir -p bin/prometheus && cd bin/prometheus && apt-get update -qq && apt-get download -qq prometheus && dpkg-deb -x prometheus_*.deb . && rm prometheus_*.deb; } || { \
	  echo "needs Debian's package prometheus: apt-get install prometheus"; exit 1; }

.PHONY: package
package: ## .deb, .rpm and .tar.gz for amd64 and arm64, what is in them, the documentation and sums, in dist/; VERSION=x.y.z names it
	$(GO) run ./packaging $(if $(VERSION),-version $(VERSION))

.PHONY: dist
dist: package ## all of a release, in dist/: what `make package` makes, and the documentation as dist/site
	$(GO) run ./packaging/site/run

.PHONY: package-tools
package-tools:
	@{ command -v mmdebstrap && command -v systemd-nspawn; } >/dev/null || { \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends mmdebstrap systemd-container >/dev/null; } || { \
	  echo "needs root to install, or: apt-get install mmdebstrap systemd-container"; exit 1; }

.PHONY: vagrant-box
vagrant-box: bin/vagrant/ebbtide.box ## what `vagrant up` takes besides the packages: a box of Debian's packages, and a small game, in bin/vagrant
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags='-s -w' -o bin/vagrant/game ./test/vagrant/game

bin/vagrant/ebbtide.box: packaging/vagrant/box.sh | vagrant-tools
	mkdir -p bin/vagrant && packaging/vagrant/box.sh $@

.PHONY: vagrant-test
vagrant-test: package vagrant-box vagrant-tools ## `vagrant up` with software emulation, a flip and a drain in it, `vagrant destroy`; BREAK=1 evicts and must end red
	$(GO) run ./test/vagrant $(if $(BREAK),-break)

VAGRANT_TOOLS := vagrant vagrant-libvirt libvirt-daemon-system libvirt-clients qemu-system-x86 qemu-utils dnsmasq-base extlinux fdisk e2fsprogs mmdebstrap openssh-client

.PHONY: vagrant-tools
vagrant-tools:
	@missing=; for t in vagrant libvirtd virsh qemu-system-x86_64 qemu-img dnsmasq extlinux sfdisk mke2fs mmdebstrap ssh; do command -v $$t >/dev/null || missing=$$t; done; \
	test -z "$$missing" && ls -d /usr/share/rubygems-integration/all/gems/vagrant-libvirt-* >/dev/null 2>&1 || { \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $(VAGRANT_TOOLS) >/dev/null; } || { \
	  echo "needs root to install, or: apt-get install $(VAGRANT_TOOLS)"; exit 1; }

# Only what is missing is installed: who has node from elsewhere can't have Debian's npm beside it.
.PHONY: web-tools
web-tools:
	@missing=; command -v node >/dev/null || missing=nodejs; for t in npm chromium; do command -v $$t >/dev/null || missing="$$missing $$t"; done; \
	test -z "$$missing" || { \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $$missing >/dev/null; } || { \
	  echo "needs root to install, or: apt-get install $$missing"; exit 1; }

.PHONY: clean
clean: ## remove what was built
	rm -rf bin dist bench.json

.PHONY: help
help: ## this list
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16
