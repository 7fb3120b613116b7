package echo

import "context"

// Echo is the service as Ferry's generator takes it.
//
//ferry:service org.ferryrpc.bench.Echo
type Echo interface {
	// Echo returns what it got.
	Echo(ctx context.Context, m *Message) (*Message, error)
	// EchoRecords returns what it got.
	EchoRecords(ctx context.Context, r *Records) (*Records, error)
	// Notify has no answer.
	//
	//ferry:oneway
	Notify(ctx context.Context, m *Message) error
}
