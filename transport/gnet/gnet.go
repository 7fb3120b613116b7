// Package gnet carries bytes over TCP with gnet's event loops, for processes with very many connections: an idle
// connection has neither a goroutine nor a buffer. It has no TLS and does not exist on Windows; the net transport has both.
//
// One engine serves all connections of a Transport, dialled and accepted; it runs while there is a listener or a
// connection. Sockets are made by the standard library and then enrolled in an event loop. So port 0, an address in use
// and a lack of file descriptors behave as with net; gnet's own listeners end for good when a descriptor is lacking.
//
// An event loop reads and calls the Receiver. Senders write to the socket themselves, through a transport.Line, under
// the connection's mutex that the event loop takes before it closes the descriptor. gnet's outbound buffer, which has no bound, stays empty. The
// line's flusher, which must wait until a full socket takes more, does so on a duplicate of the descriptor that it has only while it runs.
package gnet

import (
	"github.com/ferryrpc/ferry/transport"
)

// Params are the URL parameters of this transport.
type Params struct {
	transport.Params
	Loops int `url:"loops" default:"0" doc:"event loops of the gnet transport, 0 is half of the processors"`
}
