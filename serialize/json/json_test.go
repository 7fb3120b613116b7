package json

import (
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/ferryrpc/ferry/serialize/serializetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type wide struct{ A, B, C, D, E, F, G, H [8]int64 }

func TestConformance(t *testing.T) {
	hostile := func(name, input string, out func() any) serializetest.Hostile {
		return serializetest.Hostile{Name: name, Input: []byte(input + "\n"), Out: out}
	}
	list := func(element string) string { return "[" + strings.Repeat(element+",", 60000) + element + "]" }
	serializetest.Run(t, New(serializetest.Types()), serializetest.Options{
		Hostile: []serializetest.Hostile{
			hostile("deep", strings.Repeat("[", 1<<20), func() any { return new(any) }),
			hostile("deep and whole", strings.Repeat("[", 1<<19)+strings.Repeat("]", 1<<19), func() any { return new(any) }),
			hostile("deep structs", strings.Repeat(`{"Friend":`, 1<<17), func() any { return new(serializetest.Person) }),
			hostile("wide structs", list("{}"), func() any { return new([]wide) }),
			hostile("wide pointers", list("{}"), func() any { return new([]*wide) }),
			hostile("empty maps", list("{}"), func() any { return new(any) }),
			hostile("empty lists", list("[]"), func() any { return new([]any) }),
			hostile("many numbers", list("1"), func() any { return new(any) }),
			hostile("many members", "{"+strings.Repeat(`"":1,`, 60000)+`"":1}`, func() any { return new(map[string]int64) }),
			hostile("open string", `"`+strings.Repeat(`\"`, 1<<19), func() any { return new(string) }),
			hostile("long number", strings.Repeat("9", 1<<20), func() any { return new(any) }),
		},
	})
}
