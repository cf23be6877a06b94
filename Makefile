# SPDX-License-Identifier: Apache-2.0
#
#   make demo     build, then watch the main job against a pretend AWS account
#   make test     every test, with the race detector and the coverage gates
#   make test-stores  broker with real desktops' stores and dialogs; 400 MB of packages
#   make fuzz     fuzz what reads and edits the AWS files, FUZZTIME=60s each
#   make fuzz-all the same, and every other fuzz target for 5s
#   make torture  1000 rotations cut short at random; SEED=, FROM=, N= see them again
#   make test-sdks  how SDKs read the AWS files, against the real ones; Node.js is heavy
#   make build    the programs, into bin/
#   make bench    speed and memory beside a floor; RESULTS=FILE writes them down
#   make vet-platforms  build and vet it all, tests too, for macOS and Windows
#   make test-wine  run the Windows parts that have tests, under Wine
#   make pictures the pictures of docs/images, from a screen that nobody sees
#   make lint     golangci-lint, pinned below
#
# demo and build need Go and nothing else: no C compiler, no packages.

VERSION  ?= 0.1.0
GOLANGCI ?= github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
TAGS     := urfave_cli_no_docs
PLATFORMS := darwin/amd64 darwin/arm64 windows/amd64 windows/arm64
LDFLAGS  := -s -w -X main.version=$(VERSION)

.PHONY: build demo test test-stores test-sdks torture fuzz fuzz-all bench bench-quick vet-platforms test-wine pictures lint fmt clean

# Copied into place, as every installation is: a program that runs meanwhile keeps its
# own file.
build:
	CGO_ENABLED=0 go build -trimpath -tags $(TAGS) -ldflags "$(LDFLAGS)" -o .tmp/bin/ ./cmd/...
	@mkdir -p bin && install -m 755 .tmp/bin/* bin/

demo: build
	@.ci/demo bin

test: ; @.ci/test
test-stores: ; @.ci/test-stores
torture: ; @.ci/torture
test-sdks: ; @.ci/test-sdks
test-wine: ; @.ci/test-wine
pictures: ; @.ci/pictures
fuzz fuzz-all: ; @.ci/fuzz "$(FUZZTIME)" $@

bench: build
	@go run ./internal/bench -programs bin $(if $(RESULTS),-results $(RESULTS))

bench-quick: build
	@go run ./internal/bench -programs bin -quick

vet-platforms:
	@for p in $(PLATFORMS); do echo "vet $$p" && GOOS=$${p%/*} GOARCH=$${p#*/} CGO_ENABLED=0 go vet ./... || exit 1; done; GOOS=darwin CGO_ENABLED=1 go vet ./cmd/broker-cli

lint:
	go run $(GOLANGCI) run ./...

fmt:
	go run $(GOLANGCI) fmt ./...

clean:
	rm -rf bin .tmp
