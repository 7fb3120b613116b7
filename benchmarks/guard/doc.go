// Package guard keeps the call path fast: its test compares Ferry with the standard library's net/rpc, which has no layers
// at all, in one run and one pair of processes, and fails when the ratio falls too far. It runs without the race detector.
package guard
