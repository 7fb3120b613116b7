//go:build linux || darwin

package ferry

// An idle consumer costs a gnet server about 1 KiB, a goroutine per connection ten times that.
const defaultServerTransport = "gnet"
