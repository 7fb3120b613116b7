package zkembed_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"
)

// body builds packets without the package under test, so that both ends of the wire are written twice.
type body []byte

func (b body) int(v int32) body   { return binary.BigEndian.AppendUint32(b, uint32(v)) }
func (b body) long(v int64) body  { return binary.BigEndian.AppendUint64(b, uint64(v)) }
func (b body) text(s string) body { return append(b.int(int32(len(s))), s...) }

// absent stands for a buffer that is not there, which is not an empty one.
const absent = "<nil>"

func (b body) data(s string) body {
	if s == absent {
		return b.int(-1)
	}
	return b.text(s)
}

func (b body) flag(v bool) body {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

func (b body) texts(v []string) body {
	b = b.int(int32(len(v)))
	for _, s := range v {
		b = b.text(s)
	}
	return b
}

type grant struct {
	perms      int32
	scheme, id string
}

func (b body) acl(v []grant) body {
	b = b.int(int32(len(v)))
	for _, g := range v {
		b = b.int(g.perms).text(g.scheme).text(g.id)
	}
	return b
}

// fields reads packets. Reading beyond the end panics, which fails the test.
type fields []byte

func (f *fields) int() int32 {
	v := binary.BigEndian.Uint32(*f)
	*f = (*f)[4:]
	return int32(v)
}

func (f *fields) long() int64 {
	v := binary.BigEndian.Uint64(*f)
	*f = (*f)[8:]
	return int64(v)
}

func (f *fields) flag() bool {
	v := (*f)[0] != 0
	*f = (*f)[1:]
	return v
}

func (f *fields) text() string {
	n := f.int()
	if n < 0 {
		return absent
	}
	s := string((*f)[:n])
	*f = (*f)[n:]
	return s
}

func (f *fields) texts() []string {
	var v []string
	for n := f.int(); n > 0; n-- {
		v = append(v, f.text())
	}
	return v
}

// A raw is a client that shows every packet.
type raw struct {
	addr     string
	nc       net.Conn
	id       int64
	password string
	timeout  int32
	xid      int32
	zxid     int64 // last seen
}

// dialRaw opens a session.
func dialRaw(addr string, timeout time.Duration) (*raw, error) {
	r := &raw{addr: addr, timeout: int32(timeout.Milliseconds()), password: strings.Repeat("\x00", 16)}
	return r, r.connect()
}

var errRefused = errors.New("session refused")

// connect says hello with the session that r has, or for a new one.
func (r *raw) connect() error {
	r.close()
	nc, err := net.Dial("tcp", r.addr)
	if err != nil {
		return err
	}
	r.nc = nc
	if err := r.write(body{}.int(0).long(r.zxid).int(r.timeout).long(r.id).text(r.password).flag(false)); err != nil {
		return err
	}
	p, err := r.read()
	if err != nil {
		return err
	}
	p.int()
	timeout, id, password := p.int(), p.long(), p.text()
	p.flag()
	if id == 0 {
		return fmt.Errorf("%w: timeout %d, password %x", errRefused, timeout, password)
	}
	r.timeout, r.id, r.password = timeout, id, password
	return nil
}

func (r *raw) close() {
	if r.nc != nil {
		r.nc.Close()
	}
}

func (r *raw) write(b []byte) error {
	_, err := r.nc.Write(append(body{}.int(int32(len(b))), b...))
	return err
}

func (r *raw) read() (fields, error) {
	if err := r.nc.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return nil, err
	}
	var n [4]byte
	if _, err := io.ReadFull(r.nc, n[:]); err != nil {
		return nil, err
	}
	p := make(fields, binary.BigEndian.Uint32(n[:]))
	_, err := io.ReadFull(r.nc, p)
	return p, err
}

// A packet is a reply or an event.
type packet struct {
	xid  int32
	zxid int64
	err  int32
	body fields
}

func (r *raw) next() (packet, error) {
	f, err := r.read()
	if err != nil {
		return packet{}, err
	}
	p := packet{xid: f.int(), zxid: f.long(), err: f.int(), body: f}
	if p.zxid > r.zxid {
		r.zxid = p.zxid
	}
	return p, nil
}

// call sends a request and returns its reply and the events before it. Pings and the like pass their own xid.
func (r *raw) call(op int32, b body, xid int32) (reply packet, events []string, err error) {
	if xid == 0 {
		r.xid++
		xid = r.xid
	}
	if err := r.write(append(body{}.int(xid).int(op), b...)); err != nil {
		return packet{}, nil, err
	}
	for {
		p, err := r.next()
		if err != nil {
			return packet{}, events, err
		}
		if p.xid != -1 {
			if p.xid != xid {
				return p, events, fmt.Errorf("reply to %d, want %d", p.xid, xid)
			}
			return p, events, nil
		}
		events = append(events, fmt.Sprintf("event type %d state %d zxid %d err %d %s", p.body.int(), p.body.int(), p.zxid, p.err, p.body.text()))
	}
}

// must is call for steps that have to succeed.
func (r *raw) must(op int32, b body) (fields, []string) {
	p, events, err := r.call(op, b, 0)
	if err != nil || p.err != 0 {
		panic(fmt.Sprintf("op %d: code %d, %v", op, p.err, err))
	}
	return p.body, events
}

// watch sets a watch on a node that need not exist.
func (r *raw) watch(path string) {
	if _, _, err := r.call(3, body{}.text(path).flag(true), 0); err != nil {
		panic(err)
	}
}

// ping proves that the session is alive, and begins its timeout anew.
func (r *raw) ping() { r.events() }

// events are those that came until a ping is answered.
func (r *raw) events() []string {
	_, events, err := r.call(11, nil, -2)
	if err != nil {
		panic(err)
	}
	return events
}

var anyone = []grant{{31, "world", "anyone"}}

func createBody(path, data string, acl []grant, flags int32) body {
	return body{}.text(path).data(data).acl(acl).int(flags)
}

func sorted(v []string) []string {
	v = slices.Clone(v)
	slices.Sort(v)
	return v
}
