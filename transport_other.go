//go:build !linux && !darwin

package ferry

const defaultServerTransport = "net"
