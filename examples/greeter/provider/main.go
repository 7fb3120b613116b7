package main

import (
	"context"
	"log"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/examples/greeter"
)

type impl struct{}

func (impl) SayHello(_ context.Context, name string) (string, error) { return "Hello, " + name, nil }

func main() {
	s := ferry.NewServer("zookeeper://127.0.0.1:2181")
	if err := greeter.ExportGreeter(s, impl{}); err != nil {
		log.Fatal(err)
	}
	log.Print(s.URLs(), s.Run(context.Background()))
}
