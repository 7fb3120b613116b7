//go:build !race

package msgpack

// raceEnabled says that the race detector is on, which allocates on its own account.
const raceEnabled = false
