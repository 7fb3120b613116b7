package protocol

import (
	"context"
	"net"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAttachments(t *testing.T) {
	var none Attachments
	v, ok := none.Get("k")
	require.Empty(t, v)
	require.False(t, ok)
	odd := Attachments{"k", "v", "odd"}
	require.Equal(t, "v", odd.Value("k"))
	require.Empty(t, odd.Value("odd"))

	none.Set("k", "1")
	require.Equal(t, Attachments{"k", "1"}, none)
	base := append(make(Attachments, 0, 10), "a", "1", "b", "2")
	one, two, three := base, base, base
	one.Set("a", "changed")
	two.Set("c", "3")
	three.Set("d", "4")
	require.Equal(t, Attachments{"a", "1", "b", "2"}, base, "others may share it")
	require.Equal(t, Attachments{"a", "changed", "b", "2"}, one)
	require.Equal(t, Attachments{"a", "1", "b", "2", "c", "3"}, two)
	require.Equal(t, Attachments{"a", "1", "b", "2", "d", "4"}, three)
	v, ok = base.Get("b")
	require.Equal(t, "2", v)
	require.True(t, ok)
}

// TestServing: what a handler reaches through its context.
func TestServing(t *testing.T) {
	ctx := t.Context()
	require.Nil(t, Serving(ctx))
	require.Nil(t, IncomingAttachments(ctx))
	require.Nil(t, Peer(ctx))
	require.False(t, SetReplyAttachment(ctx, "k", "v"))

	call := &Invocation{Attachments: Attachments{"k", "v"}}
	ctx = context.WithValue(WithServing(ctx, call), PeerKey{}, net.Addr(&net.TCPAddr{Port: 7}))
	require.Same(t, call, Serving(ctx))
	require.Equal(t, ":7", Peer(ctx).String())
	in := IncomingAttachments(ctx)
	in[1] = "changed"
	require.Equal(t, Attachments{"k", "v"}, call.Attachments)
	require.True(t, SetReplyAttachment(ctx, "a", "1"))
	require.True(t, SetReplyAttachment(ctx, "a", "2"))
	require.False(t, SetReplyAttachment(ctx, "timeout", "2"))
	require.Equal(t, Attachments{"a", "2"}, call.ReplyAttachments)

	// A filter may put another context around the protocol's, which knows when the call is over.
	over := context.WithValue(t.Context(), AttachmentsKey{}, Attachments(nil))
	require.Nil(t, IncomingAttachments(WithServing(over, call)))
}
