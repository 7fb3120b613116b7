// Package exchange pairs requests with responses on connections and keeps the connections alive.
//
// A message is a 16-byte header, which is the one of Apache Dubbo's dubbo:// protocol (ExchangeCodec.java), and a body
// that exchange never looks into, but for the few bytes of an event. All numbers are big-endian.
//
//	0       2       3        4            12            16
//	| da bb | flags | status | request id | body length | body …
//
// # Client
//
// A Client is one address. It dials, reconnects with back-off and jitter, sends heartbeats, and has at most one
// connection at a time. Do registers a wait under a fresh id, hands the frame to the transport and sleeps on the wait's
// channel; the goroutine that reads the connection takes the wait out of the table and wakes it. One timer per
// connection expires waits, so a call needs no timer of its own. Whoever takes a wait out of the table completes it:
// the reader, the timer, the caller who gives up, or the end of the connection; nobody else may.
//
// # Server
//
// A Server hands whole requests to workers: goroutines that are kept, with their grown stacks, between requests. The
// goroutine that reads puts requests in a queue and wakes one worker; a worker that takes a request while more are
// waiting wakes the next. So a burst of short requests is handled with few switches, and one that blocks holds nobody up.
package exchange

import (
	"errors"
	"fmt"
	"time"

	"github.com/ferryrpc/ferry/url"
)

// Status bytes of responses (Dubbo, Response.java).
const (
	OK                 byte = 20
	SerializationError byte = 25 // the reply could not be encoded, or is over the limit
	ClientTimeout      byte = 30
	ServerTimeout      byte = 31
	BadRequest         byte = 40 // the request could not be decoded: it did not run
	BadResponse        byte = 50
	ServiceNotFound    byte = 60
	ServiceError       byte = 70
	ServerError        byte = 80
	ClientError        byte = 90
	Exhausted          byte = 100 // no worker was free: it did not run
)

// Errors that a Failure may have as its cause.
var (
	ErrTimeout    = errors.New("exchange: no reply within the timeout")
	ErrTooLarge   = errors.New("exchange: message over the payload limit")
	ErrBusy       = errors.New("exchange: too many calls in flight on the connection")
	ErrClosed     = errors.New("exchange: closed")
	ErrBadFrame   = errors.New("exchange: not a frame of this protocol")
	ErrSilent     = errors.New("exchange: nothing heard from the peer")
	ErrSlowFrame  = errors.New("exchange: peer does not finish its frame")
	ErrNotReached = errors.New("exchange: not connected")
	ErrParted     = errors.New("exchange: the server had shut down in good order and did not run it")
)

// A Failure is what Do returns when there is no reply. Sent says whether the request may have reached the peer.
type Failure struct {
	Sent  bool
	Cause error
}

// Error returns the cause's text.
func (f *Failure) Error() string { return f.Cause.Error() }

// Unwrap returns the cause.
func (f *Failure) Unwrap() error { return f.Cause }

// TooLargeError is the cause of a Failure when a message is over the limit. It matches ErrTooLarge.
type TooLargeError struct{ Size, Limit int64 }

// Error names both sizes.
func (e *TooLargeError) Error() string {
	return fmt.Sprintf("%d bytes, the limit is %d (parameter payload)", e.Size, e.Limit)
}

// Is matches ErrTooLarge.
func (e *TooLargeError) Is(target error) bool { return target == ErrTooLarge }

// Params are the URL parameters of both sides. Zero means the default everywhere, never unlimited.
type Params struct {
	Payload          int64         `url:"payload" default:"8388608" doc:"largest body of a message in bytes, either way"`
	Heartbeat        time.Duration `url:"heartbeat" default:"60000" doc:"silence after which a client asks whether the server is there"`
	HeartbeatTimeout time.Duration `url:"heartbeat.timeout" doc:"silence after which either side closes the connection; three heartbeats when unset"`
	FrameTimeout     time.Duration `url:"frame.timeout" default:"30000" doc:"longest time that a peer may take to send one whole message"`
	Calls            int           `url:"connection.calls" default:"65536" doc:"calls in flight on one connection; more wait for their turn"`
	Reconnect        bool          `url:"reconnect" default:"true" doc:"dial again by itself when a connection is lost"`
	ReconnectMax     time.Duration `url:"reconnect.max" default:"10000" doc:"longest pause between two attempts to reconnect"`
}

// ServerParams are the URL parameters of a server.
type ServerParams struct {
	Threads    int `url:"threads" default:"10000" doc:"handlers running at once on one port; more requests wait in the queue"`
	Queue      int `url:"queues" default:"50000" doc:"requests waiting for a handler on one port; more are refused with status 100"`
	Connection int `url:"connection.executes" default:"65536" doc:"requests of one connection that run or wait; more are refused with status 100"`
}

// ReadParams decodes and checks the parameters of both sides.
func ReadParams(u *url.URL) (Params, error) {
	var p Params
	if err := u.Decode(&p); err != nil {
		return p, err
	}
	if p.HeartbeatTimeout <= 0 {
		p.HeartbeatTimeout = 3 * p.Heartbeat
	}
	return p.withDefaults(), p.check()
}

func (p Params) withDefaults() Params {
	set := func(d *time.Duration, to time.Duration) {
		if *d <= 0 {
			*d = to
		}
	}
	if p.Payload <= 0 {
		p.Payload = 8 << 20
	}
	if p.Calls <= 0 {
		p.Calls = 65536
	}
	set(&p.Heartbeat, time.Minute)
	set(&p.HeartbeatTimeout, 3*p.Heartbeat)
	set(&p.FrameTimeout, 30*time.Second)
	set(&p.ReconnectMax, 10*time.Second)
	return p
}

func (p Params) check() error {
	if p.HeartbeatTimeout > 0 && p.Heartbeat > 0 && p.HeartbeatTimeout < 2*p.Heartbeat {
		return fmt.Errorf("exchange: heartbeat.timeout=%v must be at least twice heartbeat=%v", p.HeartbeatTimeout, p.Heartbeat)
	}
	return nil
}

func (p ServerParams) withDefaults() ServerParams {
	if p.Threads <= 0 {
		p.Threads = 10000
	}
	if p.Queue <= 0 {
		p.Queue = 50000
	}
	if p.Connection <= 0 {
		p.Connection = 65536
	}
	return p
}
