//go:build race

package triple_test

const raceEnabled = true
