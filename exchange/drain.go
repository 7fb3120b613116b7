package exchange

import (
	"context"
	"time"
)

// quiet is how long a server that is going away must hear no new request before it counts on having told everybody:
// consumers that ignore READONLY leave when the registry's change reaches them, and a consumer on a busy machine may stand
// still for a while with a call for us in its hands.
const quiet = time.Second

// linger is how long a server that refuses must hear nothing, neither a connection nor a request, before it hangs up: a
// consumer whose list is a moment old may be dialling, and a call that is hung up on looks as if it had run.
const linger = 20 * time.Millisecond

// Readonly tells all consumers to send their next calls elsewhere (Dubbo's READONLY event). Calls that come
// nevertheless are served.
func (s *Server) Readonly() {
	for _, c := range s.all() {
		if !c.text.Load() {
			offer(c.conn, event(FlagRequest, 0, 0, bodyRead))
		}
	}
}

// Close shuts the server down gracefully: READONLY to all consumers, then service goes on until nothing runs and no
// request has come for a while, or every consumer has left, or ctx ends. What comes after that is refused with status
// 100, which says that it did not run, until nothing comes any more. It returns when no handler and no goroutine of the server is left, but does not
// wait longer than ctx for handlers.
func (s *Server) Close(ctx context.Context) error {
	s.closing.Do(func() { s.closeErr = s.close(ctx) })
	return s.closeErr
}

func (s *Server) close(ctx context.Context) error {
	s.Readonly()
	s.drain(ctx)
	s.refusing.Store(true)
	s.linger(ctx)
	s.farewell()
	for _, c := range s.all() {
		_ = c.conn.Flush(ctx)
	}
	close(s.tickStop)
	<-s.tickDone
	err := s.listener.Close()
	ended := make(chan struct{})
	go func() { s.workers.close(); s.talkers.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-ctx.Done():
		// A handler is still running; its worker ends with it.
	}
	return err
}

// farewell is the server's last word: a READONLY with the status of what did not run, on each connection on which nothing
// runs and, as the server refuses by now, nothing will. A consumer whose call crosses with the end of the connection knows
// by it that the call did not run. To others it is one more READONLY: requests have no status.
func (s *Server) farewell() {
	for _, c := range s.all() {
		if !c.text.Load() && c.running.Load() == 0 {
			offer(c.conn, event(FlagRequest, Exhausted, 0, bodyRead))
		}
	}
}

// linger waits while consumers still come, but not for ever: some dial again and again.
func (s *Server) linger(ctx context.Context) {
	const step = 2 * time.Millisecond
	t := time.NewTicker(step)
	defer t.Stop()
	came := func() int64 { return s.requests.Load() + s.accepted.Load() }
	start, seen := time.Now(), came()
	for still := start; time.Since(still) < linger && time.Since(start) < quiet; {
		if n := came(); n != seen {
			seen, still = n, time.Now()
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
	}
}

func (s *Server) drain(ctx context.Context) {
	const step = 5 * time.Millisecond
	t := time.NewTicker(step)
	defer t.Stop()
	seen, still := s.requests.Load(), time.Now()
	for {
		if n := s.requests.Load(); n != seen || s.Busy() > 0 {
			seen, still = n, time.Now()
		}
		if s.Busy() == 0 && (s.Connections() == 0 || time.Since(still) >= quiet) {
			return
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
	}
}
