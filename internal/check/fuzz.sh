#!/usr/bin/env bash
# Runs every fuzz target of the module for the time given, one after the other.
set -euo pipefail
time=${1:?usage: fuzz.sh DURATION}

git grep -l --untracked '^func Fuzz' -- '*_test.go' | grep -v -e testdata -e ^examples/extension | while read -r file; do
	package=./$(dirname "$file")
	grep -o '^func Fuzz[A-Za-z0-9_]*' "$file" | sed 's/^func //' | while read -r target; do
		echo "fuzz $package $target $time"
		go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" "$package" </dev/null >"${TMPDIR:-/tmp}/ferry-fuzz.$$" 2>&1 || {
			cat "${TMPDIR:-/tmp}/ferry-fuzz.$$"
			rm -f "${TMPDIR:-/tmp}/ferry-fuzz.$$"
			exit 1
		}
		rm -f "${TMPDIR:-/tmp}/ferry-fuzz.$$"
	done
done
