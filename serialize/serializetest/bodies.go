package serializetest

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/serialize"
)

// prefix demands that a Writer appends, and that its result outlives it.
func (c *suite) prefix(t *testing.T) {
	require.LessOrEqual(t, c.s.ID(), byte(31), "the id has five bits")
	w := c.s.Writer([]byte("head"))
	require.Equal(t, "head", string(w.Bytes()), "an empty body has no bytes")
	w.Free()
	w = c.s.Writer(append(make([]byte, 0, 1024), "head"...))
	w.WriteString("one")
	first := w.Bytes()
	w.Free()
	kept := bytes.Clone(first)
	w = c.s.Writer(nil)
	w.WriteString("two, which is longer")
	second := w.Bytes()
	w.Free()
	require.Equal(t, kept, first, "the result belongs to the caller")
	require.True(t, bytes.HasPrefix(first, []byte("head")))
	for _, src := range [][]byte{first[4:], second} {
		require.NoError(t, c.read(src, func(r serialize.Reader) error { _, err := r.ReadString(); return err }))
	}
}

// pass: a Reader that passes over strings reads on behind them.
func (c *suite) pass(t *testing.T) {
	strings := func(s ...string) []byte {
		return c.write(t, func(w serialize.Writer) error {
			for _, v := range s {
				w.WriteString(v)
			}
			return nil
		})
	}
	known := len(strings("2.0.2", "com.example.Greeter"))
	src := strings("2.0.2", "com.example.Greeter", "sayHello")
	require.NoError(t, c.read(src, func(r serialize.Reader) error {
		p, ok := r.(serialize.Passer)
		if !ok {
			return nil
		}
		p.Pass(known)
		require.Equal(t, len(src)-known, r.Rest())
		got, err := r.ReadString()
		require.Equal(t, "sayHello", got)
		p.Pass(1)
		require.Error(t, r.Read(nil), "there is no such byte")
		return err
	}))
}

func (c *suite) maps(t *testing.T) {
	var many []string
	for i := range 300 {
		many = append(many, fmt.Sprint("key ", i), strings.Repeat("值", i%40))
	}
	for _, pairs := range [][]string{nil, {"path", "com.example.Greeter"}, {"a", "1", "", "empty key", "空", ""}, many} {
		src := c.write(t, func(w serialize.Writer) error {
			w.WriteMap(pairs)
			w.WriteString("after")
			return nil
		})
		require.NoError(t, c.read(src, func(r serialize.Reader) error {
			got, err := r.ReadMap([]string{"old", "pair"})
			require.NoError(t, err)
			require.Equal(t, append([]string{"old", "pair"}, pairs...), got)
			s, err := r.ReadString()
			require.Equal(t, "after", s)
			require.Zero(t, r.Rest())
			return err
		}))
		require.NoError(t, c.read(src, func(r serialize.Reader) error {
			require.NoError(t, r.Read(nil), "a map is one value")
			s, err := r.ReadString()
			require.Equal(t, "after", s)
			return err
		}))
	}
	if c.o.NoStructs {
		return
	}
	mixed := map[string]any{"n": int64(5), "b": true, "s": "text", "list": []any{"left out"}}
	require.NoError(t, c.read(c.body(t, &mixed), func(r serialize.Reader) error {
		got, err := r.ReadMap(nil)
		pairs := map[string]string{}
		for i := 0; i+1 < len(got); i += 2 {
			pairs[got[i]] = got[i+1]
		}
		require.Equal(t, map[string]string{"n": "5", "b": "true", "s": "text"}, pairs)
		return err
	}))
}

// raw copies the constant part of a body, as a reference does with a method's prefix.
func (c *suite) raw(t *testing.T) {
	constant := c.write(t, func(w serialize.Writer) error {
		w.WriteString("2.0.2")
		w.WriteString("com.example.Greeter")
		return nil
	})
	n := int32(7)
	src := c.write(t, func(w serialize.Writer) error {
		w.WriteRaw(constant)
		return w.Write(&n)
	})
	require.True(t, bytes.HasPrefix(src, constant))
	require.NoError(t, c.read(src, func(r serialize.Reader) error {
		a, err := r.ReadString()
		require.NoError(t, err)
		require.Equal(t, "2.0.2", a)
		require.NoError(t, r.SkipString())
		var got int32
		err = r.Read(&got)
		require.Equal(t, n, got)
		return err
	}))
}

func (c *suite) rest(t *testing.T) {
	a, n := "first", int64(2)
	src := c.body(t, &a, &n)
	require.NoError(t, c.read(src, func(r serialize.Reader) error {
		require.Equal(t, len(src), r.Rest())
		_, err := r.ReadString()
		require.NoError(t, err)
		require.Less(t, r.Rest(), len(src))
		require.Equal(t, c.body(t, &n), src[len(src)-r.Rest():], "what is left is the second value")
		require.NoError(t, r.Read(&n))
		require.Zero(t, r.Rest())
		require.ErrorIs(t, r.Read(&n), serialize.ErrTruncated, "nothing is left")
		return nil
	}))
	require.ErrorIs(t, c.read(nil, func(r serialize.Reader) error { _, err := r.ReadString(); return err }), serialize.ErrTruncated)
	require.ErrorIs(t, c.read(nil, func(r serialize.Reader) error { return r.SkipString() }), serialize.ErrTruncated)
	require.ErrorIs(t, c.read(nil, func(r serialize.Reader) error { _, err := r.ReadMap(nil); return err }), serialize.ErrTruncated)
	require.ErrorIs(t, c.read(nil, func(r serialize.Reader) error { return r.Read(nil) }), serialize.ErrTruncated)
	require.NoError(t, c.read(nil, func(r serialize.Reader) error { return r.Read(serialize.Values{}) }), "an empty row has no bytes")
}

func (c *suite) exceptions(t *testing.T) {
	for _, in := range []serialize.Exception{
		{Class: "java.lang.IllegalStateException", Message: "坏 state"}, {Message: "plain"}, {Class: "com.example.Unknown"},
	} {
		after := "after"
		src := c.body(t, &in, &after)
		got := serialize.Exception{Class: "old", Message: "old", Value: "old"}
		var a string
		require.NoError(t, c.read(src, func(r serialize.Reader) error { return r.Read(serialize.Values{&got, &a}) }))
		if in.Class == "" {
			in.Class = "java.lang.RuntimeException"
		}
		require.Equal(t, in, got)
		require.Equal(t, after, a)
	}
	if c.o.NoTypedErrors {
		return
	}
	in := serialize.Exception{Class: ShortageClass, Message: "short of bolts", Value: &Shortage{Item: "bolts", Missing: 3}}
	var got serialize.Exception
	require.NoError(t, c.read(c.body(t, &in), func(r serialize.Reader) error { return r.Read(&got) }))
	require.Equal(t, in, got)
}

// request writes and checks the body of a request: strings, a row of arguments, attachments.
func (c *suite) request(t *testing.T, name string) {
	flag, amount, missing := int32(4), int64(len(name))<<33, (*string)(nil)
	src := c.write(t, func(w serialize.Writer) error {
		w.WriteString("com.example.Greeter")
		w.WriteString("sayHello")
		if err := w.Write(serialize.Values{&name, &amount, &missing, &flag}); err != nil {
			return err
		}
		w.WriteMap([]string{"group", name})
		return nil
	})
	var gotName string
	var gotAmount int64
	var gotMissing *string
	var gotFlag int32
	require.NoError(t, c.read(src, func(r serialize.Reader) error {
		path, err := r.ReadString()
		require.NoError(t, err)
		require.Equal(t, "com.example.Greeter", path)
		require.NoError(t, r.SkipString())
		require.NoError(t, r.Read(serialize.Values{&gotName, &gotAmount, &gotMissing, &gotFlag}))
		m, err := r.ReadMap(nil)
		require.Equal(t, []string{"group", name}, m)
		require.Zero(t, r.Rest())
		return err
	}))
	require.Equal(t, name, gotName)
	require.Equal(t, amount, gotAmount)
	require.Nil(t, gotMissing)
	require.Equal(t, flag, gotFlag)
}

func (c *suite) bodies(t *testing.T) {
	c.request(t, "Ann")
	c.request(t, "")
	c.request(t, strings.Repeat("名", 30000))
	require.Empty(t, c.body(t), "an empty row has no bytes")
}

// concurrency has many goroutines share the Serializer; the race detector watches.
func (c *suite) concurrency(t *testing.T) {
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 50 {
				c.request(t, fmt.Sprint("caller ", g, " call ", i))
				if !c.o.NoStructs {
					in, out := NewOrder(), new(Order)
					in.Number = int32(g*1000 + i)
					if err := c.read(c.body(t, in), func(r serialize.Reader) error { return r.Read(out) }); err != nil || out.Number != in.Number {
						t.Errorf("order %d came back as %d: %v", in.Number, out.Number, err)
					}
				}
			}
		})
	}
	wg.Wait()
}
