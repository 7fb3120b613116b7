package pb

import "context"

// Echo is the service as kitex's generator declares it. It writes the interface into its own copy of echo.pb.go; the
// messages exist once here, since a program may register a .proto file once only.
type Echo interface {
	Echo(ctx context.Context, m *Message) (*Message, error)
	EchoRecords(ctx context.Context, r *Records) (*Records, error)
}
