# SPDX-License-Identifier: Apache-2.0
# `make` alone lists the targets. Everything is cached: what is there is not made again.

PYTHON ?= python3
BIN := .venv/bin
FORGE = $(firstword $(wildcard contracts/node_modules/@foundry-rs/forge-*/bin/forge))
IMAGES := pause busybox hello web echo
PYTEST := $(BIN)/pytest -q
# Compiled modules are kept, whatever the environment says: every worker of the tests and every command that
# they start would compile all of them anew.
export PYTHONDONTWRITEBYTECODE :=
# How many examples of a property are drawn: few in `make check`, many in `make test`.
export EXAMPLES ?= few
# Databases of the fast tests lie in memory where there is room: they need not wait for a disk.
MEMORY = $(shell test -w /dev/shm && test $$(df --output=avail /dev/shm | tail -1) -gt 1000000 && echo /dev/shm)

.DEFAULT_GOAL := help
.PHONY: help setup demo test check lint unit policies forge live bench soak contracts docs deb release clean coverage slither
.PHONY: chart guest guest-pins guest-measure machine

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 20

setup: $(BIN)/.installed build/view/trustedpods contracts/node_modules/.installed ## install and build what is needed (cold: 7 to 13 minutes)
	@$(BIN)/python -m trustedpods.localnet.cluster.binaries
	@$(PYTHON) deploy/images/build.py $(IMAGES) > build/images.log || { cat build/images.log; exit 1; }
	@sed '/is up to date/d' build/images.log

demo: setup ## bring up a market, deploy a pod, show every step of its life
	@$(BIN)/trustedpods-localnet demo

test live machine soak: export EXAMPLES = many
# The contracts are tested and the machine image is built beside the tests on real parts, which wait most of the time:
# both give way to them. A machine is booted when all else is over, as it takes both processors.
test: ## everything, and how long each group took
	@rm -rf $(MINUTES)
	@$(call title,everything)
	@$(MAKE) --no-print-directory check
	@nice -n 19 $(MAKE) --no-print-directory --keep-going --old-file=setup forge guest > build/beside.log 2>&1 & beside=$$!; \
		$(MAKE) --no-print-directory live; live=$$?; \
		wait $$beside; forge=$$?; cat build/beside.log; \
		$(MAKE) --no-print-directory machine; machine=$$?; \
		$(call took,everything); printf '\n'; cat $(MINUTES)/*.took; \
		exit $$((live + forge + machine))

check: setup ## what needs neither root nor real parts; nine minutes on two cores
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target lint unit policies

lint: setup ## format, style, types, directions between rooms
	@$(call title,lint)
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy --no-error-summary
	$(BIN)/lint-imports --no-cache > build/lint-imports.log || { cat build/lint-imports.log; exit 1; }
	@$(call took,lint)

unit: setup
	@$(call title,tests without real parts)
	$(if $(MEMORY),PYTEST_DEBUG_TEMPROOT=$(MEMORY)) $(PYTEST) -m "not live and not soak" --numprocesses 2 --dist worksteal
	@$(call took,tests without real parts)

policies: setup
	@$(call title,network policy agent)
	cd deploy/kube && CGO_ENABLED=0 go test -trimpath ./netpol/rules ./netpol/limits ./netpol/traffic ./netpol/frozen ./netpol/agent
	cd deploy/tunnel && CGO_ENABLED=0 go test -trimpath ./...
	cd deploy/guest_image/init && CGO_ENABLED=0 go test -trimpath .
	@$(call took,network policy agent)

forge: setup
	@$(call title,contracts)
	cd contracts && ../$(FORGE) test
	$(BIN)/python -m trustedpods.contracts.compile --check
	@$(call took,contracts)

live: setup
	@$(call title,tests on real parts)
	$(PYTEST) -m "live and not soak and not machine" --numprocesses 3 --dist loadfile --no-loadscope-reorder
	@$(call took,tests on real parts)

machine: setup ## boot the machine image in an emulated machine; from cached parts four minutes
	@$(call title,machine image)
	@deploy/guest_image/tools.sh
	$(PYTEST) -m "machine and not soak"
	@$(call took,machine image)

bench: setup ## measure, as ratios in one run
	@$(call title,benchmarks)
	$(BIN)/python -m tests.bench.imports
	$(BIN)/python -m tests.bench.net_throughput
	$(BIN)/python -m tests.bench.links.kinds
	$(BIN)/python -m tests.bench.delivery
	$(BIN)/python -m tests.bench.attestation
	$(BIN)/python -m tests.bench.market
	$(BIN)/python -m tests.bench.verbs.deploys
	$(BIN)/python -m tests.bench.facade --peer nginx
	$(BIN)/python -m tests.bench.streams.kernel_tcp
	$(BIN)/python -m tests.bench.proxy_cpu --peer nginx
	$(BIN)/python -m tests.bench.cold_start --runs 100 --peer nginx
	$(BIN)/python -m tests.bench.sleep.warm --runs 200
	$(BIN)/python -m tests.bench.sleep.many
	cd deploy/kube && go test -v -run TestServersArePagedOutAndAnswer ./netpol/frozen
	$(BIN)/python -m tests.bench.idle_pods
	$(BIN)/python -m tests.bench.isolation.user_namespaces
	@deploy/guest_image/tools.sh
	@nice -n 19 $(BIN)/python deploy/guest_image/guest_image.py build/guest
	$(BIN)/python -m tests.bench.isolation.machine
	$(BIN)/python -m tests.bench.store
	$(BIN)/python -m tests.bench.billing.busy_pods
	$(BIN)/python -m tests.bench.registry
	$(BIN)/python -m tests.bench.networks.many_nodes
	$(BIN)/python -m tests.bench.gas

soak: setup coverage slither ## the full lengths (hours)
	@deploy/guest_image/tools.sh
	@$(call title,soak)
	$(PYTEST) -m "soak or machine"

coverage: setup ## every line and branch of the contracts has a forge test
	@$(call title,coverage of the contracts)
	$(BIN)/python -m tests.contracts.forge.coverage

slither: setup ## static analysis of the contracts
	@$(call title,slither)
	$(BIN)/python -m tests.contracts.forge.slither_check

docs: setup ## the pages as a site in build/site; what leads nowhere is an error
	$(BIN)/mkdocs build --quiet --strict

contracts: setup ## compile the contracts and write their ABI and bytecode
	$(BIN)/python -m trustedpods.contracts.compile

deb: setup ## the provider as a Debian package, in build/deb; the same commit makes the same bytes
	@$(BIN)/python deploy/debian/deb.py
	lintian --no-cfg --allow-root --fail-on error,warning build/deb/*.deb

chart: setup ## the provider as a Helm chart and a base for kustomize, with its image, in build/chart
	@$(BIN)/python deploy/helm/chart.py

guest: setup ## the machine image of a sealed provider, in build/guest; the same commit makes the same bytes
	@deploy/guest_image/tools.sh
	@nice -n 19 $(BIN)/python deploy/guest_image/guest_image.py build/guest

guest-pins: setup ## name the newest Debian packages for the machine image
	@$(BIN)/python deploy/guest_image/guest_image.py --pins

guest-measure: guest ## what that image measures to, with FIRMWARE=OVMF.fd (an AmdSevX64 build)
	@$(BIN)/trustedpods-provider guest measure $(or $(FIRMWARE),build/guest/OVMF.fd) \
		build/guest/vmlinuz build/guest/initrd.img build/guest/cmdline

release: deb ## wheel, source archive, Debian package, checksums, notes: make release VERSION=x.y.z [RELEASE_KEY=file.pem]
	@$(BIN)/python deploy/release/release.py $(VERSION) build/deb/trusted-pods-provider_$(VERSION)_amd64.deb

clean: ## end the localnet `market`; remove what was built here (not the caches in your home)
	@if [ -x $(BIN)/trustedpods-localnet ]; then $(BIN)/trustedpods-localnet down; fi
	rm -rf build .venv contracts/node_modules contracts/out contracts/cache
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# The groups of tests, and how long each took: two groups may run side by side.
MINUTES := build/minutes

define title
mkdir -p $(MINUTES); date +%s > '$(MINUTES)/$(1).began'; printf '\n== %s\n' '$(1)'
endef

define took
awk -v now="$$(date +%s)" '{ printf "%5.1f min  $(1)\n", (now - $$1) / 60 }' '$(MINUTES)/$(1).began' > '$(MINUTES)/$(1).took'
endef

# Tools and packages are looked for every time: it takes a moment, and somebody may have removed one.
.PHONY: system
system:
	@mkdir -p build
	@PYTHON=$(PYTHON) deploy/setup/tools.sh
	@PYTHON=$(PYTHON) deploy/setup/packages.sh

$(BIN)/.installed: deploy/setup/requirements.txt pyproject.toml | system
	@echo "installing Python packages into .venv"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check --requirement deploy/setup/requirements.txt
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

# The links of the editable install (hatch_build.py), made again where somebody removed build/.
build/view/trustedpods: hatch_build.py | $(BIN)/.installed
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .

contracts/node_modules/.installed: contracts/package.json contracts/package-lock.json | system
	@echo "installing the contracts' compiler, forge, anvil, and axe for the page, into contracts/node_modules"
	@cd contracts && npm ci --silent
	@touch $@
