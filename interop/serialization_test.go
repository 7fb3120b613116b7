package interop

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/interop/fleet"
)

// TestOtherSerializations has callers speak what a provider does not take: they are told so, at once.
func TestOtherSerializations(t *testing.T) {
	t.Parallel()
	for _, line := range lines {
		if !wanted(line) {
			continue
		}
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			peer := java(t, line)
			format := "nativejava"
			if line == "33" { // which has no other but this one
				format = "fastjson2"
			}
			s := serve(t, "", "ferry")
			consumer := peer.start(t, "Consumer", "url=dubbo://"+s.URLs()[0].Address(), "serialization="+format)
			began := time.Now()
			answer := strings.Join(consumer.tell("who"), " ")
			var err error
			if took := time.Since(began); !strings.Contains(answer, "is not accepted here") || took > 15*time.Second {
				err = fmt.Errorf("after %v: %s", took, answer)
			}
			judge(t, "serialization/unknown to the provider", peer, toFerry, err)
			consumer.stop()
			closeServer(t, s)

			// Java provider: the answer differs, but no call hangs.
			port := freePort(t)
			provider := peer.start(t, "Provider", "port="+port)
			c := client(t, "", ferry.Direct("dubbo://127.0.0.1:"+port), ferry.Param("serialization", "msgpack"), ferry.Timeout(2*time.Second))
			calls, err := fleet.ReferCalls(c)
			require.NoError(t, err)
			began = time.Now()
			_, err = calls.Who(t.Context())
			t.Logf("%s answers: %v", peer.name, err)
			if took := time.Since(began); err == nil || took > 15*time.Second {
				err = fmt.Errorf("after %v: %v", took, err)
			} else {
				err = nil
			}
			judge(t, "serialization/unknown to the provider", peer, fromFerry, err)
			require.NoError(t, c.Close())
			provider.stop()
		})
	}
}
