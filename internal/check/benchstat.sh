#!/usr/bin/env bash
# Compares the benchmarks of the call path with those of the commit before (BASE=commit for another one), in turn, and
# fails when a call allocates more than a tenth more often. Times are printed and not judged: the machine is not alone.
set -euo pipefail
benchstat=golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da
packages=". ./exchange ./serialize/hessian2 ./serialize/msgpack ./internal/gen/gentest"
names='^Benchmark(Call|Echo|EncodeOrder|DecodeOrder|EncodeList100|DecodeList100|Write|Read|Stub|WriteOrder)$'
rounds=${ROUNDS:-6} benchtime=${BENCHTIME:-20ms} base=${BASE:-HEAD~1}

root=$(git rev-parse --show-toplevel)
cd "$root"
tmp=$(mktemp -d)
cleanup() { git worktree remove --force "$tmp/base/tree" >/dev/null 2>&1 || true; rm -rf "$tmp"; }
trap cleanup EXIT
mkdir -p "$tmp/base" "$tmp/head"

# build DIR SIDE compiles the test binary of each package below DIR; one that the older commit does not have is left out.
build() {
	local p
	for p in $packages; do
		[ -d "$1/$p" ] || continue
		(cd "$1" && go test -c -o "$tmp/$2/$(tr -c 'a-z0-9\n' _ <<<"$p").test" "$p") || [ "$2" = base ]
	done
}

sides=head
build "$root" head
if git rev-parse -q --verify "$base^{commit}" >/dev/null && git worktree add -q --detach "$tmp/base/tree" "$base"; then
	sides="base head"
	build "$tmp/base/tree" base
else
	echo "benchstat: there is no commit $base to compare with"
fi

for _ in $(seq "$rounds"); do
	for side in $sides; do
		for p in $packages; do
			binary=$tmp/$side/$(tr -c 'a-z0-9\n' _ <<<"$p").test
			[ -x "$binary" ] || continue
			(cd "$root/$p" && "$binary" -test.run '^$' -test.bench "$names" -test.benchmem -test.benchtime "$benchtime") >>"$tmp/$side.txt"
		done
	done
done

if [ "$sides" = head ]; then
	go run $benchstat head="$tmp/head.txt"
	exit
fi
go run $benchstat base="$tmp/base.txt" head="$tmp/head.txt"
go run $benchstat -filter .unit:allocs/op -format csv base="$tmp/base.txt" head="$tmp/head.txt" >"$tmp/allocs.csv" 2>/dev/null
worse=$(awk -F, '$6 ~ /^\+/ && $4 > 1.1*$2 + 0.5 { print "  " $1 ": " $2 " -> " $4 " allocations" }' "$tmp/allocs.csv")
if [ -n "$worse" ]; then
	echo "benchstat: calls allocate more than at $base:"
	echo "$worse"
	exit 1
fi
