package main

import (
	"context"
	"fmt"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/examples/greeter"
)

func main() {
	g := greeter.MustReferGreeter(ferry.NewClient("zookeeper://127.0.0.1:2181"))
	fmt.Println(g.SayHello(context.Background(), "world"))
}
