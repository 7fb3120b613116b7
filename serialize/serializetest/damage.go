package serializetest

import (
	"bytes"
	"fmt"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/serialize"
)

// noAlias overwrites the input after reading and demands that nothing read changes.
func (c *suite) noAlias(t *testing.T) {
	text, data := "some text that is long enough to be worth sharing", []byte("some bytes that are long enough as well")
	src := c.write(t, func(w serialize.Writer) error {
		w.WriteString(text)
		w.WriteMap([]string{"key", text})
		if err := w.Write(serialize.Values{&text, &data}); err != nil || c.o.NoStructs {
			return err
		}
		var dynamic any = []any{text, map[string]any{text: text}}
		return w.Write(serialize.Values{NewOrder(), &dynamic, &[]string{text}, &serialize.Exception{Class: text, Message: text}})
	})
	var gotText string
	var gotData []byte
	var order Order
	var dynamic any
	var list []string
	var ex serialize.Exception
	require.NoError(t, c.read(src, func(r serialize.Reader) error {
		s, err := r.ReadString()
		require.NoError(t, err)
		m, err := r.ReadMap(nil)
		require.NoError(t, err)
		require.NoError(t, r.Read(serialize.Values{&gotText, &gotData}))
		if !c.o.NoStructs {
			require.NoError(t, r.Read(serialize.Values{&order, &dynamic, &list, &ex}))
		}
		for i := range src {
			src[i] = 0xff
		}
		require.Equal(t, text, s)
		require.Equal(t, []string{"key", text}, m)
		return nil
	}))
	require.Equal(t, text, gotText)
	require.Equal(t, data, gotData)
	if !c.o.NoStructs {
		require.Equal(t, *NewOrder(), order)
		require.Equal(t, []any{text, map[string]any{text: text}}, plain(dynamic))
		require.Equal(t, []string{text}, list)
		require.Equal(t, serialize.Exception{Class: text, Message: text}, ex)
	}
}

// truncation cuts bodies at every byte, long ones at a hundred places: an error that says so, and no panic.
func (c *suite) truncation(t *testing.T) {
	for _, v := range c.all() {
		src := c.body(t, v.In)
		step := 1
		if len(src) > 1000 {
			step = len(src) / 100
		}
		for n := 0; n < len(src); n += step {
			for _, out := range []any{v.Out(), nil} {
				// No require here: these are many thousands of reads.
				if err := c.read(src[:n:n], func(r serialize.Reader) error { return r.Read(out) }); err == nil || !known(err) {
					t.Fatalf("%s cut after %d of %d bytes, read into %T: %v", v.Name, n, len(src), out, err)
				}
			}
		}
	}
	src := c.write(t, func(w serialize.Writer) error {
		w.WriteString("com.example.Greeter")
		w.WriteMap([]string{"group", "a", "version", "1.0.0"})
		return w.Write(&serialize.Exception{Class: "com.example.E", Message: "m"})
	})
	for n := range src {
		err := c.read(src[:n:n], func(r serialize.Reader) error {
			if _, err := r.ReadString(); err != nil {
				return err
			}
			if _, err := r.ReadMap(nil); err != nil {
				return err
			}
			return r.Read(new(serialize.Exception))
		})
		require.Error(t, err, "cut after %d of %d bytes", n, len(src))
		require.True(t, known(err), "cut after %d bytes: %v", n, err)
	}
}

// mutation damages bodies byte by byte. Whether the result can be read is open; panics and unknown errors are not.
func (c *suite) mutation(t *testing.T) {
	for _, v := range c.all() {
		src := c.body(t, v.In)
		if len(src) > 600 {
			continue
		}
		for i := range src {
			for _, b := range []byte{0x00, 0x80, 0xc0, 0xff, src[i] ^ 0x01, src[i] + 1} {
				bad := bytes.Clone(src)
				bad[i] = b
				if err := c.readAll(bad, v.Out()); err != nil {
					t.Fatalf("%s with byte %d = %02x: %v", v.Name, i, b, err)
				}
			}
		}
	}
}

// readAll reads src in every way that a Reader has and returns the first error that it must not report.
func (c *suite) readAll(src []byte, out any) error {
	for _, read := range []func(r serialize.Reader) error{
		func(r serialize.Reader) error { return r.Read(out) },
		func(r serialize.Reader) error { return r.Read(nil) },
		func(r serialize.Reader) error { return r.Read(new(serialize.Exception)) },
		func(r serialize.Reader) error { _, err := r.ReadMap(nil); return err },
		func(r serialize.Reader) error { _, err := r.ReadString(); return err },
		func(r serialize.Reader) error { return r.SkipString() },
	} {
		r := c.s.Reader(src, serialize.Limits{Bytes: 1 << 20})
		err := read(r)
		rest := r.Rest()
		r.Free()
		if err != nil && !known(err) {
			return err
		}
		if rest < 0 || rest > len(src) {
			return fmt.Errorf("%d bytes are left of %d", rest, len(src))
		}
	}
	return nil
}

// hostile reads inputs that declare more than they hold, and measures what that costs.
func (c *suite) hostile(t *testing.T) {
	const budget = 4 << 20
	for _, h := range c.o.Hostile {
		t.Run(h.Name, func(t *testing.T) {
			for _, out := range []func() any{h.Out, func() any { return nil }} {
				got := allocated(func() {
					r := c.s.Reader(h.Input, serialize.Limits{Bytes: 1 << 20, Elements: 1 << 16})
					defer r.Free()
					if err := r.Read(out()); err != nil {
						require.True(t, known(err), "%v", err)
						require.Less(t, len(err.Error()), 500)
					}
				})
				require.Less(t, got, uint64(budget)+2*uint64(len(h.Input)), "%d bytes of input made the reader allocate %d", len(h.Input), got)
			}
		})
	}
}

// allocated returns the number of bytes that f allocates, at least: other goroutines count too.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// limits demands that the budget of a body is kept: depth, elements and bytes.
func (c *suite) limits(t *testing.T) {
	long := string(make([]byte, 4096))
	err := c.limited(c.body(t, &long), serialize.Limits{Bytes: 1024}, new(string))
	require.ErrorIs(t, err, serialize.ErrLimit, "a string over the limit of bytes")
	if c.o.NoStructs {
		return
	}
	var nested any = "inside"
	for range 10 {
		nested = []any{nested}
	}
	src := c.body(t, &nested)
	for _, out := range []any{new(any), nil} {
		require.ErrorIs(t, c.limited(src, serialize.Limits{Depth: 5}, out), serialize.ErrLimit, "depth")
		require.NoError(t, c.limited(src, serialize.Limits{Depth: 20}, out))
	}
	friends := &Person{Name: "0"}
	for range 10 {
		friends = &Person{Name: "n", Friend: friends}
	}
	src = c.body(t, friends)
	require.ErrorIs(t, c.limited(src, serialize.Limits{Depth: 5}, new(Person)), serialize.ErrLimit, "depth of structs")
	require.NoError(t, c.limited(src, serialize.Limits{Depth: 20}, new(Person)))
	src = c.body(t, &[]int32{1, 2, 3, 4, 5, 6, 7, 8, 9, 10})
	for _, out := range []any{new(any), new([]int32), nil} {
		require.ErrorIs(t, c.limited(src, serialize.Limits{Elements: 5}, out), serialize.ErrLimit, "elements")
		require.NoError(t, c.limited(src, serialize.Limits{Elements: 50}, out))
	}
	lists := [][]int32{{1, 2, 3}, {4, 5, 6}, {7, 8, 9}}
	require.ErrorIs(t, c.limited(c.body(t, &lists), serialize.Limits{Elements: 7}, new([][]int32)), serialize.ErrLimit, "elements of the whole body")
}

func (c *suite) limited(src []byte, l serialize.Limits, out any) error {
	r := c.s.Reader(src, l)
	defer r.Free()
	return r.Read(out)
}
