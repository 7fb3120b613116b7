package filter

import (
	"context"
	"fmt"
	"runtime/debug"
	"strings"

	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/url"
)

// longestPanic bounds what a peer is told of a panic, in bytes.
const longestPanic = 200

// NewRecover returns the provider's filter that turns a panic of the service into an error of one line. The stack goes to
// the logger and not to the peer.
func NewRecover(e extension.Env, _ *url.URL) (protocol.Filter, error) {
	return func(next protocol.Invoker) protocol.Invoker {
		return protocol.InvokerFunc(func(ctx context.Context, c *protocol.Invocation) (err error) {
			defer func() {
				if r := recover(); r != nil {
					line := firstLine(fmt.Sprint(r))
					e.Log().Error("filter: panic in a service", "service", c.Method.Service, "method", c.Method.Name, "panic", line,
						"stack", string(debug.Stack()))
					err = refusal(c, protocol.Application, protocol.Executed, "panic in the service: "+line)
				}
			}()
			return next.Invoke(ctx, c)
		})
	}, nil
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	if len(s) > longestPanic {
		s = strings.ToValidUTF8(s[:longestPanic], "") + "…"
	}
	return s
}
