# Everything is built from the Go module proxy; a fresh machine needs Go, git, make and a C compiler.
# "make help" lists the targets.

GO      ?= go
N       ?= 1000
FORM    ?= short
# Packages of one test run share two cores with an API server each.
TESTP   ?= 2
TESTFLAGS ?=
# make lint has vetted already. The race detector needs C.
GOTEST = $(if $(filter -race,$(TESTFLAGS)),CGO_ENABLED=1) $(GO) test -vet=off $(TESTFLAGS)
# One way to compile for all that runs here, so that nothing is compiled twice.
export CGO_ENABLED := 0
# Of a release: the tag that is checked out, else no release at all.
VERSION ?= $(or $(shell git describe --tags --exact-match --match 'v*' 2>/dev/null),v0.0.0)

# The control plane's programs: those that KUBEBUILDER_ASSETS names, else our own build.
K8S_BIN := $(CURDIR)/bin/k8s
ifneq ($(words $(and $(strip $(KUBEBUILDER_ASSETS)),$(wildcard $(addprefix $(abspath $(KUBEBUILDER_ASSETS))/,etcd kube-apiserver)))),2)
override KUBEBUILDER_ASSETS := $(K8S_BIN)
endif
override KUBEBUILDER_ASSETS := $(abspath $(KUBEBUILDER_ASSETS))
export KUBEBUILDER_ASSETS
export PATH := $(CURDIR)/bin/tools:$(KUBEBUILDER_ASSETS):$(K8S_BIN):$(PATH)

CHART := charts/oauth-operator

.DEFAULT_GOAL := help

##@ Try it
.PHONY: demo demo-up
demo: build control-plane ## Connect and refresh an account on an embedded control plane; ends by itself.
	@$(GO) run ./hack/demo

demo-up: build control-plane ## The same, and stays up for you to try.
	@$(GO) run ./hack/demo --stay

##@ Develop
.PHONY: build generate manifests fmt screenshots
build: ## Build the operator and the kubectl plugin into bin/.
	@$(GO) build -o bin/ ./cmd/manager ./cmd/kubectl-oauth

generate: tool-controller-gen ## Generate the kinds' deep copies.
	controller-gen object:headerFile=hack/boilerplate.go.txt paths=./api/...

manifests: tool-controller-gen tool-crd-ref-docs ## Generate the CRDs, the chart's copies, the API reference and the providers' pages.
	controller-gen crd paths=./api/... output:crd:dir=config/crd/bases
	cp config/crd/bases/*.yaml $(CHART)/files/crds/
	cp config/rbac/*role*.yaml $(CHART)/files/rbac/
	cp config/policy/https_endpoints.yaml config/policy/references.yaml config/policy/requester.yaml $(CHART)/files/policy/
	cp config/signin/cluster_role.yaml $(CHART)/files/signin/
	cp config/prometheus/service_monitor.yaml config/prometheus/prometheus_rule.yaml $(CHART)/files/prometheus/
	crd-ref-docs --source-path=api --config=hack/crd-ref-docs.yaml --renderer=markdown --output-path=docs/api.md
	$(GO) run ./hack/providerdocs

fmt: tool-golangci-lint ## Format.
	golangci-lint fmt

screenshots: control-plane ## Make the pictures of docs/pages.md; needs Chromium.
	@mkdir -p docs/screenshots
	CHROMIUM_REQUIRED=1 SCREENSHOTS=$(CURDIR)/docs/screenshots $(GO) test -count=1 -run 'FitForPeople' ./internal/callback ./cmd/kubectl-oauth

##@ Check
.PHONY: test second-opinion lint verify bench chaos
test: build control-plane ## Run all tests against a real API server and a real OpenID provider.
	$(GOTEST) -timeout 20m -p $(TESTP) ./...
	cd examples && $(GOTEST) ./...
	$(GOTEST) -tags chaos ./internal/crashpoint
	@$(call lacks,redis-server redis-cli,the Redis example)
	@$(call lacks,initdb postgres psql,the Redshift example)
	@$(call lacks,node hack/secondopinion/node_modules,the OpenID provider of make second-opinion)
	@for p in chromium chromium-browser google-chrome headless-shell; do command -v $$p >/dev/null && exit; done; \
	echo "Skipped for want of Chromium: the pages in a real browser"

# go test does not say what was skipped, nor why.
lacks = for p in $(1); do command -v $$p >/dev/null || test -e $$p || test -n "$$(ls /usr/lib/postgresql/*/bin/$$p 2>/dev/null)" || \
	{ echo "Skipped for want of $$p: $(2)"; break; }; done

second-opinion: hack/secondopinion/node_modules/.package-lock.json ## Install another OpenID provider, node's, for more of the tests; needs node and npm.

hack/secondopinion/node_modules/.package-lock.json: hack/secondopinion/package-lock.json
	cd $(@D)/.. && npm ci
	@touch $@

lint: tool-golangci-lint ## Lint, with the import rules.
	golangci-lint run
	golangci-lint run --build-tags chaos ./cmd/manager ./internal/crashpoint

verify: lint tool-helm control-plane ## Fail on drift of generated files, on lint, and on objects that the API server refuses.
	@$(MAKE) --no-print-directory generate manifests
	$(GO) mod tidy -diff
	cd examples && $(GO) mod tidy -diff && $(GO) vet ./...
	git diff --exit-code -- api config charts docs
	$(GO) run ./hack/verify

bench: build control-plane ## Measure refreshes against a baseline; N=10000 for more connections.
	@$(GO) run ./hack/bench -n $(N)

chaos: control-plane ## Try to make the operator lose a token; FORM=long takes hours, ONLY=points,soak and SEED=1 choose.
	@$(GO) build -tags chaos -o bin/manager-chaos ./cmd/manager
	@$(GO) run ./hack/chaos -form $(FORM) $(if $(ONLY),-only $(ONLY)) $(if $(SEED),-seed $(SEED))

##@ Release
.PHONY: krew
krew: ## Build the kubectl plugin's archives and its krew manifest into dist/; VERSION=v1.2.3.
	@$(GO) run ./hack/krew -version $(VERSION)

##@ What the rest needs
.PHONY: control-plane help
control-plane: ## Build etcd and kube-apiserver (and kubectl, if there is none) into bin/k8s.
	@$(MAKE) --no-print-directory -s -C hack/controlplane

tool-%:
	@$(MAKE) --no-print-directory -s -C hack/tools $*

help: ## List the targets.
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
