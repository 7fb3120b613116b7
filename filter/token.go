package filter

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"

	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/url"
)

// TokenParams are the parameters of the filters token and sendtoken.
type TokenParams struct {
	Token string `url:"token" doc:"secret that a provider publishes and asks of each call, so that only who can read the registry may call; true makes one"`
}

func readToken(u *url.URL) (string, error) {
	var p TokenParams
	if err := u.Decode(&p); err != nil {
		return "", err
	}
	if p.Token == "false" {
		return "", nil
	}
	return p.Token, nil
}

func generated(token string) bool { return token == "true" || token == "default" }

// PublishToken returns u with token=true (or default, as Dubbo writes it) replaced by a random one. Who exports a service
// calls it before anything is made from the URL.
func PublishToken(u *url.URL) *url.URL {
	if !generated(u.Param("token")) {
		return u
	}
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return u.With("token", fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:]))
}

// NewToken returns the provider's filter that refuses calls without the published token. The comparison takes the same
// time wherever the tokens differ.
func NewToken(_ extension.Env, u *url.URL) (protocol.Filter, error) {
	token, err := readToken(u)
	if err != nil || token == "" {
		return pass, err
	}
	if generated(token) {
		return nil, errors.New("filter: token=" + token + " was not replaced by a token before the export")
	}
	want := []byte(token)
	return func(next protocol.Invoker) protocol.Invoker {
		return protocol.InvokerFunc(func(ctx context.Context, c *protocol.Invocation) error {
			if !same(want, c.Attachments.Value("token")) {
				return refusal(c, protocol.Forbidden, protocol.NotStarted, "token missing or wrong")
			}
			return next.Invoke(ctx, c)
		})
	}, nil
}

func same(want []byte, got string) bool {
	var room [64]byte // the usual token fits, and needs no memory
	return subtle.ConstantTimeCompare(want, append(room[:0], got...)) == 1
}

// NewSendToken returns the reference filter that sends the provider's published token with each call.
func NewSendToken(_ extension.Env, u *url.URL) (protocol.Filter, error) {
	token, err := readToken(u)
	if err != nil || token == "" {
		return pass, err
	}
	alone := protocol.Attachments{"token", token}
	return func(next protocol.Invoker) protocol.Invoker {
		return protocol.InvokerFunc(func(ctx context.Context, c *protocol.Invocation) error {
			own := c.Attachments
			if len(own) == 0 {
				c.Attachments = alone[:2:2] // whoever adds to it gets a copy
			} else {
				c.Attachments = append(append(make(protocol.Attachments, 0, len(own)+2), own...), alone...)
			}
			err := next.Invoke(ctx, c)
			c.Attachments = own
			return err
		})
	}, nil
}
