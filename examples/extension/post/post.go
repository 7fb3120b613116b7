// Package post is a protocol over plain HTTP: protocol=post. Its calls pass proxies and can be watched with any HTTP tool.
//
//	POST /com.example.Shop/buy                     the service's path and the method
//	Content-Type: application/x-ferry-tsv          the format
//	Descriptor: Ljava/lang/String;I                tells methods of one name apart
//	Group, Version                                 those of the service, if it has them
//	Timeout: 1000                                  milliseconds that the caller waits
//
//	arguments, map of attachments
//
// The answer's header Outcome says what its status alone could not, since a proxy may answer too: "executed" with status
// 200 (reply and attachments follow), 422 (an exception and attachments) or 500 (the reply could not be encoded), and
// "not started" with any status above 400, where one line of text gives the reason. GET / asks whether the server is there.
// A connection that is lost before the answer, or that the provider closes at the moment when a request comes, leaves the
// outcome unknown. Generic calls ($invoke) are not offered.
package post

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/serialize"
	"github.com/ferryrpc/ferry/url"
)

// Params are the URL parameters that the protocol reads. Most have the names and meanings that they have everywhere.
type Params struct {
	Serialization string        `url:"serialization" default:"hessian2" doc:"format of arguments and replies"`
	Timeout       time.Duration `url:"timeout" default:"1000" doc:"longest time for one attempt of a call"`
	Payload       int64         `url:"payload" default:"8388608" doc:"largest body of a message in bytes, either way"`
	Lazy          bool          `url:"lazy" doc:"connect at the first call"`
	Shutdown      time.Duration `url:"shutdown" default:"10000" doc:"longest time for calls in flight to finish when something is closed"`
	Probe         time.Duration `url:"post.probe" default:"500" doc:"how often the protocol post looks for a provider that cannot be reached"`
}

// Names of headers, and the values of headerOutcome.
const (
	headerDescriptor = "Descriptor"
	headerGroup      = "Group"
	headerVersion    = "Version"
	headerTimeout    = "Timeout"
	headerOutcome    = "Outcome"
	executed         = "executed"
	notStarted       = "not started"
	mediaType        = "application/x-ferry-"
)

// Protocol implements protocol.Protocol.
type Protocol struct {
	env         extension.Env
	serializers *extension.Point[serialize.Serializer]
	client      *http.Client

	mu     sync.Mutex // guards the following
	closed bool
	ports  map[string]*port // by the address asked for
}

var _ protocol.Protocol = (*Protocol)(nil)

// New returns the constructor of the protocol, which chooses among those serializers.
func New(serializers *extension.Point[serialize.Serializer]) func(extension.Env, *url.URL) (protocol.Protocol, error) {
	return func(e extension.Env, _ *url.URL) (protocol.Protocol, error) {
		const idle, patience = 64, time.Minute
		t := &http.Transport{TLSClientConfig: e.TLS, MaxIdleConnsPerHost: idle, IdleConnTimeout: patience}
		return &Protocol{env: e, serializers: serializers, client: &http.Client{Transport: t}, ports: map[string]*port{}}, nil
	}
}

// Close implements protocol.Protocol.
func (p *Protocol) Close() error {
	p.mu.Lock()
	p.closed = true
	ports := p.ports
	p.ports = map[string]*port{}
	p.mu.Unlock()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var errs []error
	for _, pt := range ports {
		errs = append(errs, pt.close(ctx))
	}
	p.client.CloseIdleConnections()
	return errors.Join(errs...)
}

// calls counts what is running, and lets nothing begin once it is closed.
type calls struct {
	mu      sync.Mutex // guards the following
	running int
	closed  bool
	idle    chan struct{} // made by close, closed when nothing runs any more
}

func (c *calls) begin() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.running++
	}
	return !c.closed
}

func (c *calls) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.running--; c.running == 0 && c.closed {
		close(c.idle)
	}
}

// close lets nothing begin any more and says whether all calls ended before ctx did. It may be called again.
func (c *calls) close(ctx context.Context) bool {
	c.mu.Lock()
	if !c.closed {
		c.closed, c.idle = true, make(chan struct{})
		if c.running == 0 {
			close(c.idle)
		}
	}
	left := c.running
	c.mu.Unlock()
	if left == 0 {
		return true
	}
	select {
	case <-c.idle:
		return true
	case <-ctx.Done():
		return false
	}
}
