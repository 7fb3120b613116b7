//go:build !unix

package net

import (
	stdnet "net"
	"time"

	"github.com/ferryrpc/ferry/transport"
)

// raw does not exist here: sockets have no write that returns at once.
type raw struct{ transport.Sink }

func newRaw(stdnet.Conn, *transport.Inbound) *raw { return nil }

func (r *raw) readAll() error { return nil }

func withPatience(socket stdnet.Conn, _ time.Duration) stdnet.Conn { return socket }

func lastWrite(stdnet.Conn) {}
