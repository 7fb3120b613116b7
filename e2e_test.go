package ferry_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/examples/greeter"
	"github.com/ferryrpc/ferry/internal/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

type hello struct{}

func (hello) SayHello(_ context.Context, name string) (string, error) {
	if name == "" {
		return "", fmt.Errorf("nobody to greet")
	}
	return "Hello, " + name, nil
}

func TestFirstCall(t *testing.T) {
	for _, tr := range []string{"net", "gnet"} {
		for _, ser := range []string{"hessian2", "msgpack", "json"} {
			t.Run(tr+"/"+ser, func(t *testing.T) {
				s := ferry.NewServer("memory://"+t.Name()[len("TestFirstCall/"):], ferry.Param("transport", tr), ferry.Serialization(ser))
				require.NoError(t, greeter.ExportGreeter(s, hello{}))
				defer s.Close(context.Background())
				c := ferry.NewClient(s.Registry)
				defer c.Close()
				g, err := greeter.ReferGreeter(c)
				require.NoError(t, err)
				reply, err := g.SayHello(context.Background(), "world")
				require.NoError(t, err)
				require.Equal(t, "Hello, world", reply)
				_, err = g.SayHello(context.Background(), "")
				require.ErrorContains(t, err, "nobody to greet")
				fmt.Println(err)
				gen, err := c.Generic("com.example.Greeter")
				require.NoError(t, err)
				v, err := gen.Call(context.Background(), "sayHello", []string{"java.lang.String"}, "generic")
				require.NoError(t, err)
				require.Equal(t, "Hello, generic", v)
				start := time.Now()
				for range 2000 {
					_, err = g.SayHello(context.Background(), "world")
					require.NoError(t, err)
				}
				fmt.Println(tr, ser, time.Since(start)/2000)
			})
		}
	}
}
