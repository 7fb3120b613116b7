package greeter

import "context"

//ferry:service com.example.Greeter
type Greeter interface {
	//ferry:idempotent
	SayHello(ctx context.Context, name string) (string, error)
}
