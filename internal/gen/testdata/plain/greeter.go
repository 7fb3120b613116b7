// Package plain is the smallest service.
package plain

import "context"

// Greeter greets.
//
//ferry:service com.example.Greeter
type Greeter interface {
	SayHello(ctx context.Context, name string) (string, error)
}
