package msgpack

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/ferryrpc/ferry/serialize"
	"github.com/ferryrpc/ferry/serialize/serializetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	big := func(b ...byte) []byte { return append(b, make([]byte, 32)...) }
	serializetest.Run(t, New(serializetest.Types()), serializetest.Options{
		Values: []serializetest.Value{
			{Name: "generated", In: &line{"generated", 7}, Out: func() any { return new(line) }},
			{Name: "generated pointer", In: ptr(newCart()), Out: func() any { return new(*cart) }},
			{Name: "generated list", In: &[]line{{"a", 1}, {"b", -1}}, Out: func() any { return new([]line) }},
			{Name: "generated map", In: &map[string]*line{"a": {"a", 1}, "b": nil}, Out: func() any { return new(map[string]*line) }},
			{Name: "uint64", In: ptr(uint64(1<<64 - 1)), Out: func() any { return new(uint64) }},
			{Name: "uint32", In: ptr(uint32(1<<32 - 1)), Out: func() any { return new(uint32) }},
			{Name: "uint16", In: ptr(uint16(1<<16 - 1)), Out: func() any { return new(uint16) }},
		},
		Hostile: []serializetest.Hostile{
			{Name: "string", Input: big(codeStr32, 0x7f, 0xff, 0xff, 0xff), Out: func() any { return new(string) }},
			{Name: "bytes", Input: big(codeBin32, 0xff, 0xff, 0xff, 0xff), Out: func() any { return new([]byte) }},
			{Name: "list", Input: big(codeArray32, 0x7f, 0xff, 0xff, 0xff), Out: func() any { return new([]any) }},
			{Name: "list of strings", Input: big(codeArray32, 0x00, 0xff, 0xff, 0xff), Out: func() any { return new([]string) }},
			{Name: "map", Input: big(codeMap32, 0xff, 0xff, 0xff, 0xff), Out: func() any { return new(any) }},
			{Name: "map of strings", Input: big(codeMap32, 0x10, 0xff, 0xff, 0xff), Out: func() any { return new(map[string]string) }},
			{Name: "extension", Input: big(codeExt32, 0xff, 0xff, 0xff, 0xff), Out: func() any { return new(any) }},
			{Name: "struct", Input: big(codeMap32, 0x7f, 0xff, 0xff, 0xff), Out: func() any { return new(serializetest.Order) }},
			{Name: "deep", Input: repeat(1<<20, fixArray|1), Out: func() any { return new(any) }},
			{Name: "deep maps", Input: repeat(1<<20, fixMap|1, 0xa1, 'F'), Out: func() any { return new(serializetest.Person) }},
			{Name: "deep generated", Input: repeat(1<<20, fixMap|1, 0xa4, 'n', 'e', 'x', 't'), Out: func() any { return new(cart) }},
			{Name: "wide structs", Input: append([]byte{codeArray16, 0xff, 0xff}, repeat(1<<16, fixMap)...), Out: func() any { return new([]wide) }},
			{Name: "wide pointers", Input: append([]byte{codeArray16, 0xff, 0xff}, repeat(1<<16, fixMap)...), Out: func() any { return new([]*wide) }},
			{Name: "empty maps", Input: append([]byte{codeArray16, 0xff, 0xff}, repeat(1<<16, fixMap)...), Out: func() any { return new(any) }},
			{Name: "empty lists", Input: append([]byte{codeArray16, 0xff, 0xff}, repeat(1<<16, fixArray)...), Out: func() any { return new(any) }},
		},
	})
}

func repeat(n int, b ...byte) []byte {
	out := make([]byte, 0, n*len(b))
	for range n {
		out = append(out, b...)
	}
	return out
}

func ptr[T any](v T) *T { return &v }

type wide struct{ A, B, C, D, E, F, G, H [8]int64 }

// line and cart are what the generator writes.
type line struct {
	Item  string
	Count int32
}

var lineFields = []string{"Item", "Count"}

func (l *line) AppendMsgpack(w *Writer) error {
	w.Map(2)
	w.String("Item")
	w.String(l.Item)
	w.String("Count")
	w.Int(int64(l.Count))
	return nil
}

func (l *line) ReadMsgpack(r *Reader) error {
	*l = line{}
	n, _ := r.Map()
	for i := 0; r.Next(i, n); i++ {
		switch r.Field(lineFields, i) {
		case 0:
			l.Item = r.String()
		case 1:
			l.Count = r.Int32()
		default:
			r.Skip()
		}
	}
	return r.Err()
}

type cart struct {
	ID    int64            `msgpack:"id"`
	Price float64          `msgpack:"price"`
	Lines []line           `msgpack:"lines"`
	First *line            `msgpack:"first"`
	Stock map[string]int32 `msgpack:"stock"`
	Next  *cart            `msgpack:"next"`
	Data  []byte           `msgpack:"data"`
}

var cartFields = []string{"id", "price", "lines", "first", "stock", "next", "data"}

func newCart() *cart {
	return &cart{ID: 1 << 40, Price: 2.5, Lines: []line{{"a", 1}, {"b", 2}}, First: &line{"f", 3},
		Stock: map[string]int32{"x": 1}, Next: &cart{ID: 2}, Data: []byte("payload")}
}

func (c *cart) AppendMsgpack(w *Writer) error {
	w.Raw("\x87\xa2id")
	w.Int(c.ID)
	w.String("price")
	w.Float64(c.Price)
	w.String("lines")
	if c.Lines == nil {
		w.Nil()
	} else {
		w.Array(len(c.Lines))
		for i := range c.Lines {
			if err := c.Lines[i].AppendMsgpack(w); err != nil {
				return err
			}
		}
	}
	w.String("first")
	if c.First == nil {
		w.Nil()
	} else if err := c.First.AppendMsgpack(w); err != nil {
		return err
	}
	w.String("stock")
	if c.Stock == nil {
		w.Nil()
	} else {
		w.Map(len(c.Stock))
		for k, v := range c.Stock {
			w.String(k)
			w.Int(int64(v))
		}
	}
	w.String("next")
	if c.Next == nil {
		w.Nil()
	} else if err := w.Object(c.Next); err != nil {
		return err
	}
	w.String("data")
	w.Binary(c.Data)
	return nil
}

func (c *cart) ReadMsgpack(r *Reader) error {
	*c = cart{}
	n, _ := r.Map()
	for i := 0; r.Next(i, n); i++ {
		switch r.Field(cartFields, i) {
		case 0:
			c.ID = r.Int64()
		case 1:
			c.Price = r.Float64()
		case 2:
			if n, ok := r.Array(); ok {
				c.Lines = MakeSlice[line](r, n)
				for i := range c.Lines {
					r.Fail(c.Lines[i].ReadMsgpack(r))
				}
			}
		case 3:
			if !r.Nil() {
				c.First = Make[line](r)
				r.Fail(c.First.ReadMsgpack(r))
			}
		case 4:
			if n, ok := r.Map(); ok {
				c.Stock = MakeMap[string, int32](r, n)
				for i := 0; r.Next(i, n); i++ {
					k := r.String()
					c.Stock[k] = r.Int32()
				}
			}
		case 5:
			if !r.Nil() {
				c.Next = Make[cart](r)
				r.Fail(c.Next.ReadMsgpack(r))
			}
		case 6:
			c.Data = r.Binary()
		default:
			r.Skip()
		}
	}
	return r.Err()
}

// args is a row of arguments as the generator writes it.
type args struct {
	A0 int64
	A1 string
	A2 cart
}

func (a *args) Len() int { return 3 }

func (a *args) At(i int) any {
	switch i {
	case 0:
		return &a.A0
	case 1:
		return &a.A1
	}
	return &a.A2
}

func (a *args) AppendMsgpack(w *Writer) error {
	w.Int(a.A0)
	w.String(a.A1)
	return a.A2.AppendMsgpack(w)
}

func (a *args) ReadMsgpack(r *Reader) error {
	a.A0 = r.Int64()
	a.A1 = r.String()
	return a.A2.ReadMsgpack(r)
}

var _ serialize.Row = (*args)(nil)
