package peer

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/rpc"
	"time"

	"github.com/ferryrpc/ferry/benchmarks/peers/echo"
)

func contextFor(d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), d)
}

// netRPC is the standard library's net/rpc: with gob, or with the codec below, which is what a program that wants
// speed writes for it.
type netRPC struct{ own bool }

func (n netRPC) Name() string {
	if n.own {
		return "netrpc-codec"
	}
	return "netrpc-gob"
}

// Echo is what net/rpc serves.
type netEcho struct{}

// Echo is called by net/rpc.
func (netEcho) Echo(in, out *echo.Message) error {
	*out = *in
	return nil
}

// EchoRecords is called by net/rpc.
func (netEcho) EchoRecords(in, out *echo.Records) error {
	*out = *in
	return nil
}

func (n netRPC) Serve(addr string, _ *Service) (func(), error) {
	s := rpc.NewServer()
	if err := s.RegisterName("Echo", netEcho{}); err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if n.own {
				go s.ServeCodec(&serverCodec{newLink(c)})
			} else {
				go s.ServeConn(c)
			}
		}
	}()
	return func() { l.Close() }, nil
}

func (n netRPC) Dial(addr string) (Caller, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	if n.own {
		return netCaller{rpc.NewClientWithCodec(&clientCodec{newLink(c)})}, nil
	}
	return netCaller{rpc.NewClient(c)}, nil
}

type netCaller struct{ *rpc.Client }

func (c netCaller) Echo(m *echo.Message) error {
	in := &echo.Message{ID: m.ID, Name: m.Name, Payload: m.Payload}
	*m = echo.Message{}
	return c.Call("Echo.Echo", in, m)
}

func (c netCaller) Records(list []echo.Record) func() (int, error) {
	in := &echo.Records{List: list}
	return func() (int, error) {
		var out echo.Records
		err := c.Call("Echo.EchoRecords", in, &out)
		return len(out.List), err
	}
}

// link carries messages of this form, with one buffered reader and one write call each:
//
//	0        4                   12
//	| length | sequence number   | uvarint length, method | uvarint length, error | body ...
type link struct {
	conn net.Conn
	r    *bufio.Reader
	in   []byte // the message being read
	rest []byte // its body, within in
	out  []byte
}

func newLink(c net.Conn) link {
	return link{conn: c, r: bufio.NewReaderSize(c, 64<<10)}
}

func (l *link) write(seq uint64, method, failure string, body any) error {
	b := append(l.out[:0], 0, 0, 0, 0)
	b = binary.BigEndian.AppendUint64(b, seq)
	b = append(binary.AppendUvarint(b, uint64(len(method))), method...)
	b = append(binary.AppendUvarint(b, uint64(len(failure))), failure...)
	if a, ok := body.(interface{ AppendTo([]byte) []byte }); ok {
		b = a.AppendTo(b)
	}
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	l.out = b
	_, err := l.conn.Write(b)
	return err
}

func (l *link) read() (seq uint64, method, failure string, err error) {
	head, err := l.r.Peek(4)
	if err != nil {
		return 0, "", "", err
	}
	n := int(binary.BigEndian.Uint32(head))
	l.r.Discard(4)
	if cap(l.in) < n {
		l.in = make([]byte, n)
	}
	b := l.in[:n]
	if _, err := io.ReadFull(l.r, b); err != nil {
		return 0, "", "", err
	}
	seq = binary.BigEndian.Uint64(b)
	m, b := cut(b[8:])
	f, b := cut(b)
	l.rest = b
	return seq, methodName(m), string(f), nil
}

// cut takes a length and so many bytes from the front of b. Both ends of the link are this program.
func cut(b []byte) (head, rest []byte) {
	n, k := binary.Uvarint(b)
	return b[k : k+int(n)], b[k+int(n):]
}

// methodName spares an allocation for the names that occur.
func methodName(b []byte) string {
	switch string(b) {
	case "Echo.Echo":
		return "Echo.Echo"
	case "Echo.EchoRecords":
		return "Echo.EchoRecords"
	}
	return string(b)
}

func (l *link) body(v any) error {
	switch v := v.(type) {
	case nil:
		return nil
	case interface{ ReadFrom([]byte) error }:
		return v.ReadFrom(l.rest)
	}
	return fmt.Errorf("peer: net/rpc: no codec for %T", v)
}

// Close ends the connection.
func (l *link) Close() error { return l.conn.Close() }

type clientCodec struct{ link }

func (c *clientCodec) WriteRequest(r *rpc.Request, body any) error {
	return c.write(r.Seq, r.ServiceMethod, "", body)
}

func (c *clientCodec) ReadResponseHeader(r *rpc.Response) (err error) {
	r.Seq, r.ServiceMethod, r.Error, err = c.read()
	return err
}

func (c *clientCodec) ReadResponseBody(body any) error { return c.body(body) }

type serverCodec struct{ link }

func (c *serverCodec) ReadRequestHeader(r *rpc.Request) (err error) {
	r.Seq, r.ServiceMethod, _, err = c.read()
	return err
}

func (c *serverCodec) ReadRequestBody(body any) error { return c.body(body) }

func (c *serverCodec) WriteResponse(r *rpc.Response, body any) error {
	return c.write(r.Seq, r.ServiceMethod, r.Error, body)
}
