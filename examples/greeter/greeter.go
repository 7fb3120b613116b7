package greeter

import "context"

//ferry:service com.example.Greeter
type Greeter interface {
	SayHello(ctx context.Context, name string) (string, error)
}
