# make test     everything, as CI runs it: vet, staticcheck, unit and system tests with -race, guards, interop, fuzz targets for 5 s each
# make deps     install what the tests start: ZooKeeper and a Java runtime (Debian, as root)
# make gen      write all generated code again
# make bench    the benchmarks of the packages, and a call from end to end
# make bench-peers  Ferry and its peers in one run (QUICK=1 takes under five minutes)
# make bench-growth  how calls/s and CPU grow with callers, connections, sizes, providers and services
# make bench-locks  locks on three kinds of servers
# make bench-ordered  ordered calls beside unordered ones and a lock for each call; take-over of an owner
# make fuzz     the fuzz targets, FUZZTIME each (default 1m)
# make vuln     look for known vulnerabilities; needs the network

STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOVULNCHECK = golang.org/x/vuln/cmd/govulncheck@v1.1.4
FUZZTIME   ?= 1m
BUILD       = $(CURDIR)/build

.PHONY: test deps gen lint unit guards modules fuzz fuzz-short bench bench-peers bench-growth vuln clean

test: deps lint unit guards modules interop fuzz-short

deps:
	@internal/check/deps.sh

gen:
	go generate ./...
	go run ./cmd/ferry gen ./examples/greeter ./examples/chaos/shop ./examples/quickstart/hello ./benchmarks/echo

lint:
	@test -z "$$(gofmt -l $$(git ls-files '*.go' | grep -v testdata))" || { gofmt -l $$(git ls-files '*.go' | grep -v testdata); echo "gofmt would change the files above"; exit 1; }
	go vet ./...
	go run $(STATICCHECK) ./...

# The ZooKeeper client library has a data race of its own at reconnection; the tests run with a copy of it that is patched
# in a temporary folder, so that every other race still fails.
unit:
	@mod=$$(internal/zk/racefix/patch.sh $(BUILD)/racefix) && echo "go test -race ./..." && go test -race -timeout 20m -modfile=$$mod ./...

# Numbers that the race detector would falsify: allocations, and what a call costs.
guards:
	go test -count=1 -p 1 -run 'Alloc|Guard' ./...
	@internal/check/benchstat.sh

modules:
	cd examples/extension && go vet ./... && go test -race ./...
	cd benchmarks/peers && go vet ./... && go test . ./codec ./flame ./measure
	cd interop/grpc && go vet ./... && go test -race ./...
	cd coordination/idempotent/storetest && go vet ./... && go test -race -timeout 10m ./...

fuzz-short:
	@internal/check/fuzz.sh 5s

fuzz:
	@internal/check/fuzz.sh $(FUZZTIME)

bench:
	go test -run '^$$' -bench . -benchmem ./...
	go run ./benchmarks/endtoend

# Locks on the embedded server, a single one and an ensemble of three, with the herd for comparison; about two minutes.
.PHONY: bench-ordered
bench-ordered:
	FERRY_BENCH_ENSEMBLE=1 go test -run '^$$' -bench 'TakeOver|OwnerKilled' -benchtime 1x ./coordination/ordered
	for round in 1 2 3; do FERRY_BENCH_ENSEMBLE=1 go test -run '^$$' -bench Calls -benchtime 1500x ./coordination/ordered || exit 1; done

.PHONY: bench-locks
bench-locks:
	FERRY_BENCH_ENSEMBLE=1 go test -run '^$$' -bench . -benchtime 1s ./coordination/lock

bench-growth:
	cd benchmarks/peers && go run . -growth
	go run ./benchmarks/listed -o benchmarks/results/listed

bench-peers:
	cd benchmarks/peers && go run . $(if $(QUICK),-quick,-readme ../../README.md)

vuln:
	go run $(GOVULNCHECK) ./...

clean:
	rm -rf $(BUILD)

# Ferry against Apache Dubbo for Java (3.3, 3.2, 2.7) and dubbo-go, both ways through Debian's ZooKeeper; writes
# docs/interop.md. Needs Maven and a JDK 17; the first run downloads the peers. INTEROP_PEERS=33,go runs only those.
.PHONY: interop
interop:
	cd interop && go vet ./... && go test -v -count=1 -parallel 4 -timeout 45m .
	cd interop/dubbogo && go vet ./...
