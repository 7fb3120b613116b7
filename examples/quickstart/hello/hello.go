// Package hello is the service of the quickstart.
package hello

import "context"

// Greeter greets.
//
//ferry:service com.example.quickstart.Greeter
type Greeter interface {
	// SayHello greets name and tells which provider did. A repeat does no harm.
	//
	//ferry:idempotent
	SayHello(ctx context.Context, name string) (*Greeting, error)
}

// Greeting is an answer with its provider.
//
//ferry:class com.example.quickstart.Greeting
type Greeting struct {
	Text     string
	Provider string
}
