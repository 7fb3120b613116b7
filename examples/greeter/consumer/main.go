package main

import (
	"context"
	"fmt"
	"log"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/examples/greeter"
)

func main() {
	g, err := greeter.ReferGreeter(ferry.NewClient("zookeeper://127.0.0.1:2181"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(g.SayHello(context.Background(), "world"))
}
