package interop

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/internal/zktest"
	"github.com/ferryrpc/ferry/interop/fleet"
)

// TestTriple passes every type and makes every kind of call over tri://, found through ZooKeeper by interface and by
// application, which is the default on either side. Java has its wrapper messages, with hessian2 inside.
func TestTriple(t *testing.T) {
	t.Parallel()
	for _, line := range lines {
		if !wanted(line) || line == "27" {
			continue
		}
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			peer := java(t, line).overTri()
			registry := "zookeeper://" + zktest.Start(t, zktest.Options{}).Addr()
			port := freePort(t)
			provider := peer.start(t, "Provider", everything, "whole=true", "port="+port, "registry="+registry, "application=java-provider")
			c := client(t, registry)
			require.NoError(t, fleet.RegisterTypesTypes(c.Types()))
			typeCells(t, c, func(name string, err error) { judge(t, name, peer, fromFerry, err) })
			calls(t, peer, registry, "127.0.0.1:"+port)
			require.NoError(t, c.Close())
			provider.stop()

			s := serve(t, registry, "ferry", ferry.Param("protocol", "tri"))
			consumer := peer.start(t, "Consumer", everything, "whole=true", "registry="+registry, "application=java-consumer",
				"direct="+s.URLs()[0].Address())
			cells(t, peer, toFerry, consumer.tell("types"))
			cells(t, peer, toFerry, consumer.tell("calls"))
			consumer.stop()
			closeServer(t, s)
		})
	}
}
