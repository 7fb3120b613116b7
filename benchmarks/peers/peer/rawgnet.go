package peer

import (
	"encoding/binary"
	"time"

	"github.com/panjf2000/gnet/v2"
	"github.com/panjf2000/gnet/v2/pkg/logging"
)

// rawGnet is the limit with gnet on the server's side and the same client as rawNet.
type rawGnet struct{}

func (rawGnet) Name() string { return "raw-gnet" }

func (rawGnet) Dial(addr string) (Caller, error) { return dialRaw(addr) }

func (rawGnet) Serve(addr string, _ *Service) (func(), error) {
	h := &gnetEcho{ready: make(chan struct{})}
	failed := make(chan error, 1)
	go func() {
		failed <- gnet.Run(h, "tcp://"+addr, gnet.WithMulticore(true), gnet.WithLogLevel(logging.ErrorLevel))
	}()
	select {
	case err := <-failed:
		return nil, err
	case <-h.ready:
		return func() { stopGnet(h.engine) }, nil
	}
}

type gnetEcho struct {
	gnet.BuiltinEventEngine
	engine gnet.Engine
	ready  chan struct{}
}

// OnBoot tells Serve that the listener is open.
func (h *gnetEcho) OnBoot(e gnet.Engine) gnet.Action {
	h.engine = e
	close(h.ready)
	return gnet.None
}

// OnOpen gives the connection its outbox.
func (h *gnetEcho) OnOpen(c gnet.Conn) ([]byte, gnet.Action) {
	c.SetContext(&outbox{write: func(list []*frame) error {
		kept := append([]*frame(nil), list...) // gnet writes later, in its event loop
		all := make([][]byte, len(kept))
		for i, f := range kept {
			all[i] = f.b
		}
		return c.AsyncWritev(all, func(gnet.Conn, error) error {
			for _, f := range kept {
				release(f)
			}
			return nil
		})
	}})
	return nil, gnet.None
}

// OnTraffic starts a goroutine for each whole frame; what is left stays in gnet's buffer.
func (h *gnetEcho) OnTraffic(c gnet.Conn) gnet.Action {
	out := c.Context().(*outbox)
	for c.InboundBuffered() >= rawHeader {
		head, err := c.Peek(rawHeader)
		if err != nil {
			return gnet.Close
		}
		n := rawHeader + int(binary.BigEndian.Uint32(head))
		if c.InboundBuffered() < n {
			break
		}
		body, err := c.Next(n)
		if err != nil {
			return gnet.Close
		}
		f := messages.Get().(*frame)
		f.b = append(f.b[:0], body...)
		go out.send(f)
	}
	return gnet.None
}

func stopGnet(e gnet.Engine) {
	ctx, cancel := contextFor(2 * time.Second)
	defer cancel()
	e.Stop(ctx)
}
