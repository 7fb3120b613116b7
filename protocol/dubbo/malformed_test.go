package dubbo_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/exchange"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/serialize"
)

// TestDamagedBodies: a body that ends or is wrong at any byte is refused or served, and the connection goes on.
func TestDamagedBodies(t *testing.T) {
	for _, transport := range []string{"net", "gnet"} {
		h := open(t, &User{})
		i, calls := recorder()
		peer := dial(t, h.export(i, "version=1.0.0&transport="+transport).URL().Address())
		all := vectors(t)
		last := unhex(t, all["req_noargs"].Hex)
		for _, name := range []string{"req_pojo", "req_containers", "req_generic_pojo", "req_primitives", "jreq_sayHello"} {
			body := unhex(t, all[name].Hex)[exchange.HeaderLen:]
			for n := range body {
				status, answer := peer.ask(body[:n])
				// A body that ends in front of its attachments is whole for a server that tolerates their absence.
				if status != exchange.OK {
					require.Equal(t, exchange.BadRequest, status, "%s cut at %d", name, n)
					require.NotEmpty(t, text(t, answer))
				}
				drain(calls)
				for _, wrong := range []byte{0, 0xff, body[n] ^ 1, 'C', 'Q', 'M', 'U'} {
					damaged := append([]byte(nil), body...)
					damaged[n] = wrong
					status, _ = peer.ask(damaged)
					require.Contains(t, []byte{exchange.OK, exchange.BadRequest, exchange.ServiceError}, status, "%s with %x at %d", name, wrong, n)
					drain(calls)
				}
			}
		}
		status, _ := peer.ask(last[exchange.HeaderLen:])
		require.Equal(t, exchange.OK, status)
	}
}

func drain[T any](ch <-chan T) {
	for len(ch) > 0 {
		<-ch
	}
}

// TestHostileAttachments: what a peer puts into the map can neither fill the memory nor mislead the calls of others.
func TestHostileAttachments(t *testing.T) {
	h := open(t)
	i, calls := recorder()
	i.Methods = append(i.Methods, method("take", obj, func(ctx context.Context, _ serialize.Row) (any, error) {
		return protocol.IncomingAttachments(ctx).Value("who"), nil
	}, []map[string]string{}))
	i.Methods[len(i.Methods)-1].Service, i.Methods[len(i.Methods)-1].Index = demo, len(i.Methods)-1
	peer := dial(t, h.export(i, "").URL().Address())
	head := "\x052.0.2\x17" + demo + "\x050.0.0\x04ping\x00"
	for name, c := range map[string]struct {
		pairs  string
		status byte
		want   protocol.Attachments
	}{
		"list":            {"\x79\x01a", 40, nil},
		"text":            {"\x01a", 40, nil},
		"reference":       {"Q\x90", 40, nil},
		"no end":          {"H\x01a\x01b", 40, nil},
		"odd":             {"H\x01aZ", 40, nil},
		"deep":            {"H\x01a" + strings.Repeat("\x79", 100_000), 40, nil},
		"huge list":       {"H\x01aXI\x7f\xff\xff\xff", 40, nil},
		"huge text":       {"H\x01aS\xff\xff", 40, nil},
		"itself":          {"H\x01aQ\x90\x01k\x01vZ", 20, protocol.Attachments{"k", "v"}},
		"values of kinds": {"H\x01aT\x01b\x91\x01c\x5d\x02\x01d\x79\x01x\x01eN\x01fJ\x00\x00\x00\x00\x00\x00\x00\x05Z", 20, protocol.Attachments{"a", "true", "b", "1", "c", "2", "f", "5"}},
		"timeout is text": {"H\x07timeout\x04soonZ", 20, protocol.Attachments{"timeout", "soon"}},
		"timeout is huge": {"H\x07timeout\x149999999999999999999Z", 40, nil},
		"rubbish behind":  {"HZrubbish", 20, nil},
	} {
		t.Run(name, func(t *testing.T) {
			peer.t = t
			for range 2 { // the second time the bytes have been seen before
				status, body := peer.ask([]byte(head + c.pairs))
				require.Equal(t, c.status, status, "%q", body)
				if status == exchange.OK {
					got := receive(t, calls)
					for k := 0; k < len(c.want); k += 2 {
						require.Equal(t, c.want[k+1], got.pairs.Value(c.want[k]))
					}
				}
			}
		})
	}

	// A map that refers to the arguments means something else behind other arguments.
	head = "\x052.0.2\x17" + demo + "\x050.0.0\x04take" + "\x12" + obj
	for _, who := range []string{"a", "b", "a"} {
		status, body := peer.ask([]byte(head + "\x79H\x03who\x01" + who + "ZQ\x91"))
		require.Equal(t, exchange.OK, status, "%q", body)
		require.Equal(t, who, readAnswer(t, body).value)
	}
}
