package zkembed_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/internal/zktest"
	"github.com/ferryrpc/ferry/zkembed"
)

// on makes a hook that answers f to the first request with op.
func on(op zkembed.Op, f zkembed.Fault) func(zkembed.Request) zkembed.Fault {
	var once sync.Once
	return func(r zkembed.Request) (out zkembed.Fault) {
		if r.Op == op {
			once.Do(func() { out = f })
		}
		return out
	}
}

func TestRequestFaults(t *testing.T) {
	create := createBody("/n", "", anyone, 1)
	for name, c := range map[string]struct {
		fault   zkembed.Fault
		code    zkembed.Code
		closed  bool
		applied bool
		expired bool
	}{
		"request lost":     {fault: zkembed.Fault{DropBefore: true}, closed: true},
		"reply lost":       {fault: zkembed.Fault{DropAfter: true}, closed: true, applied: true},
		"error":            {fault: zkembed.Fault{Code: zkembed.OperationTimeout}, code: zkembed.OperationTimeout},
		"expired":          {fault: zkembed.Fault{Expire: true}, closed: true, expired: true},
		"nothing":          {applied: true},
		"delayed, applied": {fault: zkembed.Fault{Delay: 50 * time.Millisecond}, applied: true},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, zkembed.Options{})
			other, r := dial(t, s.Addr(), 10*time.Second), dial(t, s.Addr(), 10*time.Second)
			other.watch("/n")
			s.Intercept(on(zkembed.OpCreate, c.fault))
			begin := time.Now()
			p, _, err := r.call(1, create, 0)
			require.Equal(t, c.closed, errors.Is(err, io.EOF), "%v", err)
			if !c.closed {
				require.NoError(t, err)
				require.EqualValues(t, c.code, p.err)
				require.GreaterOrEqual(t, time.Since(begin), c.fault.Delay)
			}
			reply, _, err := other.call(3, body{}.text("/n").flag(false), 0)
			require.NoError(t, err)
			require.Equal(t, c.applied, reply.err == 0)
			err = r.connect()
			require.Equal(t, c.expired, errors.Is(err, errRefused), "%v", err)
		})
	}
}

func TestHookSeesRequests(t *testing.T) {
	s := start(t, zkembed.Options{})
	r := dial(t, s.Addr(), 10*time.Second)
	var seen []zkembed.Request
	s.Intercept(func(q zkembed.Request) zkembed.Fault { // the only client waits for each reply
		seen = append(seen, q)
		require.Equal(t, r.id, s.Sessions()[0].ID, "the hook may call the server")
		return zkembed.Fault{}
	})
	r.must(3, body{}.text("/").flag(false))
	part := body{}.int(13).flag(false).int(-1).text("/zookeeper").int(-1)
	r.must(14, append(part, body{}.int(-1).flag(true).int(-1)...))
	_, _, err := r.call(11, nil, -2)
	require.NoError(t, err)
	s.Intercept(nil)
	r.must(3, body{}.text("/").flag(false))
	require.Equal(t, []zkembed.Request{
		{Session: r.id, Xid: 1, Op: zkembed.OpExists, Path: "/", Number: 1},
		{Session: r.id, Xid: 2, Op: zkembed.OpMulti, Path: "/zookeeper", Number: 2},
		{Session: r.id, Xid: -2, Op: zkembed.OpPing, Number: 3},
	}, seen)
}

func TestDelayHoldsUpAllThatFollows(t *testing.T) {
	s := start(t, zkembed.Options{})
	slow, quick := dial(t, s.Addr(), 10*time.Second), dial(t, s.Addr(), 10*time.Second)
	slow.watch("/n")
	seen := make(chan struct{})
	s.Intercept(func(q zkembed.Request) (f zkembed.Fault) {
		switch {
		case q.Op == zkembed.OpSync:
			f.Delay = 500 * time.Millisecond
		case q.Session == slow.id: // it comes after the sync, which has been applied then
			close(seen)
		}
		return f
	})
	require.NoError(t, slow.write(body{}.int(50).int(9).text("/")))
	require.NoError(t, slow.write(body{}.int(-2).int(11)))
	<-seen
	begin := time.Now()
	quick.must(1, createBody("/n", "", anyone, 0))
	require.Less(t, time.Since(begin), 400*time.Millisecond)
	p, err := slow.next()
	require.NoError(t, err)
	require.EqualValues(t, 50, p.xid)
	for p.xid != -1 {
		p, err = slow.next()
		require.NoError(t, err, "the event comes behind the delayed reply")
	}
}

func TestCut(t *testing.T) {
	s := start(t, zkembed.Options{})
	a, b := dial(t, s.Addr(), 10*time.Second), dial(t, s.Addr(), 10*time.Second)
	require.True(t, s.CutSession(a.id))
	require.False(t, s.CutSession(a.id))
	_, err := a.next()
	require.Error(t, err)
	b.ping()
	require.NoError(t, a.connect())
	s.Cut()
	for _, r := range []*raw{a, b} {
		_, err := r.next()
		require.Error(t, err)
		require.NoError(t, r.connect())
	}
}

func TestExpire(t *testing.T) {
	s := start(t, zkembed.Options{})
	a, b := dial(t, s.Addr(), 10*time.Second), dial(t, s.Addr(), 10*time.Second)
	a.must(1, createBody("/n", "", anyone, 1))
	require.Equal(t, []string{"/n"}, s.Sessions()[0].Ephemerals)
	b.watch("/n")
	require.True(t, s.Expire(a.id))
	require.False(t, s.Expire(a.id))
	require.Equal(t, []string{"event type 2 state 3 zxid -1 err 0 /n"}, b.events())
	_, err := a.next()
	require.ErrorIs(t, err, io.EOF)
	require.ErrorIs(t, a.connect(), errRefused)
}

func TestDeafLinkLosesWhatItGets(t *testing.T) {
	s := start(t, zkembed.Options{})
	link, err := s.Listen("127.0.0.1:0")
	require.NoError(t, err)
	r := dial(t, link.Addr(), 10*time.Second)
	link.Deaf(true)
	require.NoError(t, r.write(append(body{}.int(1).int(1), createBody("/lost", "", anyone, 0)...)))
	late, err := net.Dial("tcp", link.Addr())
	require.NoError(t, err, "it accepts")
	defer late.Close()
	require.NoError(t, r.nc.SetReadDeadline(time.Now().Add(50*time.Millisecond)))
	_, err = r.nc.Read(make([]byte, 1))
	var timeout net.Error
	require.ErrorAs(t, err, &timeout)
	require.True(t, timeout.Timeout())
	hello := body{}.int(0).long(0).int(1000).long(0).text(strings.Repeat("\x00", 16))
	_, err = late.Write(append(body{}.int(int32(len(hello))), hello...))
	require.NoError(t, err)
	require.Eventually(t, func() bool { return received(t, s) == 3 }, 5*time.Second, time.Millisecond, "hello, create, hello")
	s.Deaf(false)
	require.Len(t, s.Sessions(), 1)
	p, _, err := r.call(3, body{}.text("/lost").flag(false), 0)
	require.NoError(t, err)
	require.EqualValues(t, zkembed.NoNode, p.err)
}

// received is how many packets the server has read.
func received(t *testing.T, s *zkembed.Server) (n int) {
	t.Helper()
	answer, err := zktest.FourLetter(s.Addr(), "mntr")
	require.NoError(t, err)
	_, after, _ := strings.Cut(answer, "zk_packets_received\t")
	_, err = fmt.Sscan(after, &n)
	require.NoError(t, err)
	return n
}

func TestHoldInbound(t *testing.T) {
	s := start(t, zkembed.Options{})
	r := dial(t, s.Addr(), 10*time.Second)
	zxid := s.Zxid()
	s.Hold(zkembed.Inbound)
	require.NoError(t, r.write(append(body{}.int(1).int(1), createBody("/late", "", anyone, 0)...)))
	require.NoError(t, r.nc.SetReadDeadline(time.Now().Add(50*time.Millisecond)))
	_, err := r.nc.Read(make([]byte, 1))
	require.Error(t, err)
	require.Equal(t, zxid, s.Zxid(), "not applied")
	s.Release()
	p, err := r.next()
	require.NoError(t, err, "nothing was lost")
	require.Zero(t, p.err)
}

func TestHoldOutbound(t *testing.T) {
	s := start(t, zkembed.Options{})
	r, other := dial(t, s.Addr(), 10*time.Second), dial(t, s.Addr(), 10*time.Second)
	zxid := s.Zxid()
	s.Hold(zkembed.Outbound)
	require.NoError(t, r.write(append(body{}.int(1).int(1), createBody("/done", "", anyone, 0)...)))
	require.Eventually(t, func() bool { return s.Zxid() == zxid+1 }, time.Second, time.Millisecond, "applied")
	require.True(t, s.Expire(other.id))
	for _, c := range []*raw{r, other} {
		require.NoError(t, c.nc.SetReadDeadline(time.Now().Add(30*time.Millisecond)))
		_, err := c.nc.Read(make([]byte, 1))
		var timeout net.Error
		require.ErrorAs(t, err, &timeout, "nobody hears of anything, not even of the end of the connection")
	}
	s.Release()
	p, err := r.next()
	require.NoError(t, err)
	require.Zero(t, p.err)
	_, err = other.next()
	require.ErrorIs(t, err, io.EOF)
}

func TestListenersAreLinksOfTheirOwn(t *testing.T) {
	s := start(t, zkembed.Options{})
	second, err := s.Listen("127.0.0.1:0")
	require.NoError(t, err)
	a, b := dial(t, s.Addr(), 10*time.Second), dial(t, second.Addr(), 10*time.Second)
	a.must(1, createBody("/n", "", anyone, 1))

	second.Cut()
	_, err = b.next()
	require.Error(t, err)
	a.ping()

	second.Refuse()
	second.Refuse()
	require.Error(t, b.connect())
	b.addr = s.Addr()
	require.NoError(t, b.connect(), "the session is known at every address")
	b.must(3, body{}.text("/n").flag(false))

	require.NoError(t, second.Accept())
	require.NoError(t, second.Accept())
	b.addr = second.Addr()
	require.NoError(t, b.connect())

	s.Stop()
	_, err = s.Listen("127.0.0.1:0")
	require.ErrorContains(t, err, "does not run")
	require.ErrorContains(t, second.Accept(), "does not run")
	require.Error(t, b.connect())
	require.NoError(t, s.Restart(true))
	require.NoError(t, b.connect(), "all addresses come back")
	require.ErrorContains(t, s.Restart(true), "runs")
	require.NoError(t, s.Close())
	require.ErrorContains(t, s.Restart(true), "closed")
}

func TestAddressInUse(t *testing.T) {
	s := start(t, zkembed.Options{})
	_, err := zkembed.Start(zkembed.Options{Addr: s.Addr()})
	require.ErrorContains(t, err, s.Addr())
	require.ErrorContains(t, err, "address already in use")
}

func TestRestartWhileTheAddressIsTaken(t *testing.T) {
	s := start(t, zkembed.Options{})
	s.Stop()
	thief, err := net.Listen("tcp", s.Addr())
	require.NoError(t, err)
	require.ErrorContains(t, s.Restart(true), "address already in use")
	require.NoError(t, thief.Close())
	require.NoError(t, s.Restart(true))
	dial(t, s.Addr(), 10*time.Second)
}

func TestOptionsAreChecked(t *testing.T) {
	for _, o := range []zkembed.Options{
		{Tick: time.Microsecond}, {MinSession: -1}, {MinSession: time.Hour}, {MaxPacket: -1}, {Addr: "nowhere"},
	} {
		_, err := zkembed.Start(o)
		require.ErrorContains(t, err, "zkembed: ")
	}
}
