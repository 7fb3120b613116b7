//go:build !(linux || darwin || dragonfly || freebsd || netbsd || openbsd)

package gnet

import (
	"errors"

	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/transport"
	"github.com/ferryrpc/ferry/url"
)

// New returns an error: this system has no event loops as gnet needs them.
func New(extension.Env, *url.URL) (transport.Transport, error) {
	return nil, errors.New("transport: gnet does not exist on this system, use transport=net")
}
