// Package foreign uses structs of another package: one with generated code, one without.
package foreign

import (
	"context"
	"net/url"

	"github.com/ferryrpc/ferry/internal/gen/gentest"
)

// Relay passes things on.
//
//ferry:service com.example.Relay
type Relay interface {
	Forward(ctx context.Context, user *gentest.User, line gentest.Line) (map[string]*gentest.User, error)
	Visit(ctx context.Context, link *url.URL) (Page, error)
}

// Page holds a struct without generated code.
type Page struct {
	Link  *url.URL
	Links []url.URL
	Users []gentest.User
	Keys  []Key
	Tree  Tree
	Index map[Key]bool
	Notes []any
	Extra map[string]any
}

// Key is a named string.
type Key string

// Tree contains itself by a slice.
type Tree []Tree
