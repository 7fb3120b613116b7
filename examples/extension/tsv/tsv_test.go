package tsv

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/ferryrpc/ferry/serialize"
	"github.com/ferryrpc/ferry/serialize/serializetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	serializetest.Run(t, Serializer{}, serializetest.Options{NoStructs: true, NoTypedErrors: true, Hostile: []serializetest.Hostile{
		{Name: "many fields", Input: []byte("m" + strings.Repeat("\t", 1<<20) + "\n"), Out: func() any { return nil }},
		{Name: "long text", Input: []byte("s\t" + strings.Repeat(`\\`, 1<<20) + "\n"), Out: func() any { return new(string) }},
		{Name: "long number", Input: []byte("i\t" + strings.Repeat("9", 1<<19) + "\n"), Out: func() any { return new(int64) }},
	}})
}

func TestLinesAreReadable(t *testing.T) {
	w := Serializer{}.Writer(nil)
	n, price := int32(3), 1.5
	require.NoError(t, w.Write(serialize.Values{&n, &price, nil}))
	w.WriteString("a tab\tand a\nline")
	w.WriteMap([]string{"group", "a"})
	require.NoError(t, w.Write(&serialize.Exception{Class: "com.example.E", Message: "sold out"}))
	require.Equal(t, "i\t3\nf\t1.5\nn\ns\ta tab\\tand a\\nline\nm\tgroup\ta\nx\tcom.example.E\tsold out\n", string(w.Bytes()))
}

func FuzzRead(f *testing.F) {
	f.Add([]byte("i\t3\nf\t1.5\nn\ns\ta\\tb\nm\tk\tv\nx\tc\tm\nt\t5\nd\tAA==\nb\ttrue\n"))
	f.Fuzz(func(t *testing.T, src []byte) {
		for _, v := range []any{new(string), new(int8), new(*float64), new([]byte), new(serialize.Exception), nil} {
			r := Serializer{}.Reader(bytes.Clone(src), serialize.Limits{Bytes: 1 << 16})
			for r.Rest() > 0 && r.Read(v) == nil {
			}
			if _, err := r.ReadMap(nil); err == nil {
				require.NoError(t, r.Read(serialize.Values{}))
			}
			r.Free()
		}
	})
}
