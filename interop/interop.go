// Package interop proves Ferry against the real programs of a Dubbo fleet: Apache Dubbo for Java 3.3, 3.2 and 2.7
// (interop/java, built with Maven) and dubbo-go (interop/dubbogo), in both directions and through Debian's ZooKeeper.
//
// Everything is a test: `make interop` builds the peers, runs the matrix and writes docs/interop.md. A cell prints one
// line: its name, the peer with its version, the direction, the result. The peers are processes that read commands from
// their standard input and end when it does; fleet is the same pair of services in Go.
//
// Environment: INTEROP_PEERS (comma list of 33, 32, 27, go) runs only those; INTEROP_FRAMES=1 writes the frames that the
// Java programs sent to protocol/dubbo/testdata/captured.
package interop
