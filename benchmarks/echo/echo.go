// Package echo is the service that the benchmarks call.
package echo

import "context"

// Echo returns what it gets.
//
//ferry:service com.example.bench.Echo
type Echo interface {
	Echo(ctx context.Context, m *Message) (*Message, error)
}

// Message is the usual load: a number, a short text and a payload.
//
//ferry:class com.example.bench.Message
type Message struct {
	ID      int64
	Name    string
	Payload []byte
}

// Server is the implementation.
type Server struct{}

// Echo implements Echo.
func (Server) Echo(_ context.Context, m *Message) (*Message, error) { return m, nil }
