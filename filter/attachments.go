package filter

import (
	"context"
	"fmt"

	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/url"
)

// NewAttachments returns the consumer's filter that sends the pairs of protocol.WithAttachment along. A pair of the call
// itself wins over one of the context. A key that belongs to the framework fails the call before anything is sent. While
// a call is served that repeats one whose outcome is unknown, its mark goes along as well.
func NewAttachments(extension.Env, *url.URL) (protocol.Filter, error) {
	return func(next protocol.Invoker) protocol.Invoker {
		return protocol.InvokerFunc(func(ctx context.Context, c *protocol.Invocation) error {
			pairs := protocol.AttachmentsFrom(ctx)
			_, marked := protocol.IncomingAttachments(ctx).Get(protocol.RetryOfUnknown)
			if len(pairs) == 0 && !marked {
				return next.Invoke(ctx, c)
			}
			own := c.Attachments
			all, err := joined(c, pairs, marked)
			if err != nil {
				return err
			}
			c.Attachments = all
			err = next.Invoke(ctx, c)
			c.Attachments = own
			return err
		})
	}, nil
}

// joined returns the pairs of both, and the mark.
func joined(c *protocol.Invocation, pairs protocol.Attachments, marked bool) (protocol.Attachments, error) {
	all := pairs // shared by all calls of the context; Set makes a copy
	for i := 0; i+1 < len(pairs); i += 2 {
		if protocol.Reserved(pairs[i]) {
			return nil, refusal(c, protocol.Forbidden, protocol.NotSent, fmt.Sprintf("attachment %q belongs to the framework", pairs[i]))
		}
	}
	for i := 0; i+1 < len(c.Attachments); i += 2 {
		all.Set(c.Attachments[i], c.Attachments[i+1])
	}
	if marked {
		all.Set(protocol.RetryOfUnknown, "true")
	}
	return all, nil
}

// NewContext returns the provider's filter through which handlers reach the call that they serve: its attachments
// (protocol.IncomingAttachments) and those of the reply (protocol.SetReplyAttachment). It costs one allocation.
func NewContext(extension.Env, *url.URL) (protocol.Filter, error) {
	return func(next protocol.Invoker) protocol.Invoker {
		return protocol.InvokerFunc(func(ctx context.Context, c *protocol.Invocation) error {
			return next.Invoke(protocol.WithServing(ctx, c), c)
		})
	}, nil
}
