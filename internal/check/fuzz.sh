#!/usr/bin/env bash
# Runs every fuzz target of the module for the time given, one after the other.
#
# Go before 1.27 sometimes reports the end of -fuzztime itself as a failure: "context deadline exceeded", alone, with no
# failing input (go.dev/issue/75804). Exactly that counts as passed. A finding always writes its input and is a failure.
set -euo pipefail
time=${1:?usage: fuzz.sh DURATION}
log=$(mktemp)
trap 'rm -f "$log"' EXIT

only_deadline() {
	! grep -q -e 'Failing input written' -e 'panic' -e '_test.go:' "$log" &&
		[ "$(grep -A1 '^--- FAIL' "$log" | sed -n 2p | tr -d ' ')" = "contextdeadlineexceeded" ]
}

targets=$(git grep -l --untracked '^func Fuzz' -- '*_test.go' | grep -v -e testdata -e ^examples/extension -e ^interop -e ^benchmarks/peers)
for file in $targets; do
	package=./$(dirname "$file")
	for target in $(grep -o '^func Fuzz[A-Za-z0-9_]*' "$file" | sed 's/^func //'); do
		echo "fuzz $package $target $time"
		if ! go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" "$package" </dev/null >"$log" 2>&1 && ! only_deadline; then
			cat "$log"
			exit 1
		fi
	done
done
