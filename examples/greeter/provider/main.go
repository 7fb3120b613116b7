package main

import (
	"context"
	"log"

	"github.com/ferryrpc/ferry/examples/greeter"
)

type impl struct{}

func (impl) SayHello(_ context.Context, name string) (string, error) { return "Hello, " + name, nil }

func main() {
	if err := greeter.ServeGreeter("zookeeper://127.0.0.1:2181", impl{}); err != nil {
		log.Fatal(err)
	}
}
