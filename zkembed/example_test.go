package zkembed_test

import (
	"fmt"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/ferryrpc/ferry/zkembed"
)

// A test can decide what becomes of a single request, and what of the whole server.
func Example() {
	s, err := zkembed.Start(zkembed.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	c, _, err := zk.Connect([]string{s.Addr()}, 5*time.Second, zk.WithLogger(nolog{}))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	s.Intercept(func(r zkembed.Request) (f zkembed.Fault) {
		if r.Op == zkembed.OpCreate && r.Path == "/unlucky" {
			f.Code = zkembed.OperationTimeout
		}
		return f
	})
	for _, path := range []string{"/lucky", "/unlucky"} {
		created, err := c.Create(path, nil, 0, zk.WorldACL(zk.PermAll))
		fmt.Printf("%q %v\n", created, err)
	}
	// Output:
	// "/lucky" <nil>
	// "" unknown error: -7
}
