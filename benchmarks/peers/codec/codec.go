// Package codec measures formats alone, without connections: the generated code of Ferry against the library that another
// framework uses for the same format, on the struct of 20 fields and on a list of 100 of them.
//
// Each codec is used in the way that costs it least: buffers and encoders are kept, decoding makes new values, as a call
// does. A codec and its rival take turns in short rounds, and a ratio is the median of the ratios of such pairs, so that a
// slow moment of the machine hits both.
package codec

import (
	"bytes"
	"fmt"

	hessian "github.com/apache/dubbo-go-hessian2"
	"github.com/vmihailenco/msgpack/v5"

	"github.com/ferryrpc/ferry/benchmarks/peers/echo"
	"github.com/ferryrpc/ferry/benchmarks/peers/echo/dubbo"
	"github.com/ferryrpc/ferry/serialize"
	"github.com/ferryrpc/ferry/serialize/hessian2"
	ferrymsgpack "github.com/ferryrpc/ferry/serialize/msgpack"
)

// A Codec does one format's work on one value.
type Codec struct {
	Name   string
	encode func() ([]byte, error) // the bytes are valid until the next call
	decode func(b []byte) (records int, err error)
}

// A Pair is Ferry's codec and the library for the same format.
type Pair struct {
	Format string
	Value  string // what is encoded
	Ours   Codec
	Theirs Codec
	Goal   float64 // how many times as fast Ferry's is to be
}

// Pairs returns all comparisons.
func Pairs() []Pair {
	RegisterDubbo()
	var all []Pair
	for _, n := range []int{1, 100} {
		list := echo.Sample(n)
		value := "struct of 20 fields"
		if n > 1 {
			value = fmt.Sprintf("list of %d structs", n)
		}
		types := &serialize.Types{}
		all = append(all,
			Pair{"hessian2", value, ferryCodec("ferry", hessian2.New(types), list), dubboCodec(list), 5},
			Pair{"msgpack", value, ferryCodec("ferry", ferrymsgpack.New(types), list), reflectionCodec(list), 3})
	}
	return all
}

// RegisterDubbo makes the shapes known to dubbo-go-hessian2, which keeps them for the whole process.
func RegisterDubbo() {
	hessian.RegisterPOJO(&dubbo.Record{})
	hessian.RegisterPOJO(&dubbo.Records{})
}

// ferryCodec encodes and decodes as the call path does: a pooled writer behind the bytes of a frame.
func ferryCodec(name string, s serialize.Serializer, list []echo.Record) Codec {
	in, frame := &echo.Records{List: list}, make([]byte, 0, 64<<10)
	return Codec{
		Name: name,
		encode: func() ([]byte, error) {
			w := s.Writer(frame[:0])
			err := w.Write(in)
			b := w.Bytes()
			w.Free()
			return b, err
		},
		decode: func(b []byte) (int, error) {
			var out echo.Records
			r := s.Reader(b, serialize.Limits{})
			err := r.Read(&out)
			r.Free()
			return len(out.List), err
		},
	}
}

func dubboCodec(list []echo.Record) Codec {
	in := &dubbo.Records{}
	for i := range list {
		in.List = append(in.List, (*dubbo.Record)(&list[i]))
	}
	e := hessian.NewEncoder()
	return Codec{
		Name: "dubbo-go-hessian2",
		encode: func() ([]byte, error) {
			e.ReuseBufferClean()
			err := e.Encode(in)
			return e.Buffer(), err
		},
		decode: func(b []byte) (int, error) {
			v, err := hessian.NewDecoder(b).Decode()
			if err != nil {
				return 0, err
			}
			out, ok := v.(*dubbo.Records)
			if !ok {
				return 0, fmt.Errorf("codec: dubbo-go-hessian2 decoded a %T", v)
			}
			return len(out.List), nil
		},
	}
}

func reflectionCodec(list []echo.Record) Codec {
	type records struct{ List []record } // without the methods of generated code
	in := &records{}
	for i := range list {
		in.List = append(in.List, record(list[i]))
	}
	var buf bytes.Buffer
	e := msgpack.NewEncoder(&buf)
	return Codec{
		Name: "vmihailenco/msgpack",
		encode: func() ([]byte, error) {
			buf.Reset()
			err := e.Encode(in)
			return buf.Bytes(), err
		},
		decode: func(b []byte) (int, error) {
			var out records
			err := msgpack.Unmarshal(b, &out)
			return len(out.List), err
		},
	}
}

type record echo.Record
