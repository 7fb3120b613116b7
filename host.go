package ferry

import (
	"net"
	"os"
	"path/filepath"

	"github.com/ferryrpc/ferry/url"
)

// dubboVersion is the protocol version that URLs carry, release what wrote them.
const (
	dubboVersion = "2.0.2"
	release      = "ferry-1"
)

// publishedHost is the address under which this process can be reached by those who can reach the registry: the
// environment variable FERRY_HOST, else the local address of a route to the registry. So a machine with several networks
// publishes the one that the registry is on, and one whose registry is on loopback publishes loopback.
func publishedHost(registry *url.URL) string {
	if h := os.Getenv("FERRY_HOST"); h != "" {
		return h
	}
	const loopback = "127.0.0.1"
	if registry == nil || registry.Port() == 0 {
		return loopback
	}
	// Connecting a UDP socket sends nothing; it only asks the system for the route.
	c, err := net.Dial("udp", registry.Address())
	if err != nil {
		return loopback
	}
	defer c.Close()
	host, _, err := net.SplitHostPort(c.LocalAddr().String())
	if err != nil {
		return loopback
	}
	return host
}

// programName is an application's name when the user gives none.
func programName() string { return filepath.Base(os.Args[0]) }
