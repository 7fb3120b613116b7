// Package peer lets the benchmark drive every framework in the same way: one adapter per file, each a Framework.
//
// An adapter does what the framework's own manual tells a user to write, with the settings that suit this work best
// (multiplexed connections, generated codecs, logging off), and no more. It builds a request per call, as a user's code
// would, and hands the framework's reply on without copying it. What a framework cannot do (one-way calls, a second
// connection) its adapter leaves out, and the benchmark leaves the point out for it.
package peer

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"

	"github.com/ferryrpc/ferry/benchmarks/peers/echo"
)

// ErrUnsupported means that a framework has no such thing.
var ErrUnsupported = errors.New("peer: not supported by this framework")

// Framework is one RPC framework, or a bare connection. Serve is called in one process, Dial in another.
type Framework interface {
	// Name is unique and says the codec too.
	Name() string
	// Serve starts the echo service on addr, a loopback host and port that was free a moment ago, and returns when
	// it accepts connections. stop ends it and may be called once.
	Serve(addr string, s *Service) (stop func(), err error)
	// Dial opens one connection. Its Caller is used by many goroutines at once.
	Dial(addr string) (Caller, error)
}

// Registered is a Framework whose callers find the server in a registry.
type Registered interface {
	Framework
	// In returns the framework bound to the registry at a zookeeper:// URL, for Serve and Dial.
	In(registry string) Framework
}

// Caller calls the echo service over one connection.
type Caller interface {
	// Echo sends m and sets its fields from the reply.
	Echo(m *echo.Message) error
	Close() error
}

// Many is a Framework whose client opens many connections by itself, and uses one after the other. Points with several
// connections use that where a framework has it, as its users would; those of the others have a client for each connection.
type Many interface {
	DialMany(addr string, n int) (Caller, error)
}

// Lister is a Caller that can also echo records.
type Lister interface {
	// Records turns list into what the framework sends and returns the call, which goroutines share. It returns how
	// many records came back. So the making of requests is not measured, but their encoding and decoding is.
	Records(list []echo.Record) func() (int, error)
}

// Notifier is a Caller that has one-way calls.
type Notifier interface {
	// Notify sends m and returns when the framework has taken it, without waiting for the server.
	Notify(m *echo.Message) error
}

// Service is the server's side of the work, the same for all frameworks.
type Service struct{ notified atomic.Int64 }

// Notify counts a one-way call that arrived.
func (s *Service) Notify() { s.notified.Add(1) }

// Notified is the number of one-way calls that arrived so far.
func (s *Service) Notified() int64 { return s.notified.Load() }

// Group says how a framework is compared.
type Group string

const (
	// Ours is Ferry.
	Ours Group = "ferry"
	// Peer is a framework that users could take instead.
	Peer Group = "peer"
	// Limit is no framework: bytes over connections and a goroutine per request.
	Limit Group = "limit"
)

// Entry is a framework and what the benchmark must know about it.
type Entry struct {
	Framework
	Group Group
	// Shared is set if all Dials of a process end at one connection, so that points with many connections say nothing.
	Shared bool
	// Sendmsg is set if it writes with the system call sendmsg, which the kernel does not count in /proc/self/io.
	Sendmsg bool
}

// All returns every framework, in the order of the report.
func All() []Entry {
	return []Entry{
		{Framework: ferryRPC{format: "hessian2"}, Group: Ours},
		{Framework: ferryRPC{format: "msgpack"}, Group: Ours},
		{Framework: ferryProto{ferryRPC{format: "protobuf"}}, Group: Ours},
		{Framework: ferryRPC{format: "msgpack", transport: "net"}, Group: Ours},
		{Framework: kitexPB{}, Group: Peer, Sendmsg: true},
		{Framework: kitexThrift{}, Group: Peer, Sendmsg: true},
		{Framework: arpcPB{}, Group: Peer},
		{Framework: netRPC{own: true}, Group: Peer},
		{Framework: netRPC{}, Group: Peer},
		{Framework: rpcxPB{}, Group: Peer},
		{Framework: grpcGo{}, Group: Peer},
		{Framework: dubboGo{}, Group: Peer, Shared: true},
		{Framework: rawNet{}, Group: Limit},
		{Framework: rawGnet{}, Group: Limit},
	}
}

// Select returns the frameworks whose names are listed with commas between them; "" selects all.
func Select(names string) ([]Entry, error) {
	all := All()
	if names == "" {
		return all, nil
	}
	var out []Entry
	for name := range strings.SplitSeq(names, ",") {
		e, err := find(all, strings.TrimSpace(name))
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, nil
}

func find(all []Entry, name string) (Entry, error) {
	known := make([]string, 0, len(all))
	for _, e := range all {
		if e.Name() == name {
			return e, nil
		}
		known = append(known, e.Name())
	}
	return Entry{}, fmt.Errorf("peer: no framework named %q (have %s)", name, strings.Join(known, ", "))
}

// FreeAddr returns a loopback address whose port was free just now. Some frameworks cannot be told to choose one.
func FreeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
