//go:build race

package prototest_test

const raceEnabled = true
