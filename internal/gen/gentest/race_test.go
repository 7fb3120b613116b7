//go:build race

package gentest_test

const raceEnabled = true
