package hessian2

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/serialize"
)

// mapped reads itself from objects and from maps, as generated code does.
type mapped struct {
	Name string
	Next *mapped
}

var classMapped = NewClass("com.example.Mapped", "name", "next")

func (m *mapped) MarshalHessian2(w *Writer) error {
	w.Object(classMapped)
	w.String(m.Name)
	return w.Value(m.Next)
}

func (m *mapped) UnmarshalHessian2(r *Reader) error {
	if r.AtMap() {
		if r.Map() {
			for r.MoreEntries() {
				m.field(r, r.Field(classMapped))
			}
		}
		return r.Err()
	}
	fields, ok := r.Object(classMapped)
	for _, i := range fields {
		m.field(r, i)
	}
	if ok {
		r.EndObject()
	}
	return r.Err()
}

func (m *mapped) field(r *Reader, i int16) {
	switch i {
	case 0:
		m.Name = r.String()
	case 1:
		m.Next = Pointer[mapped](r)
	default:
		r.Skip()
	}
}

// TestMapForObject: a map of field names fills a generated type, and a reference to the map the pointer to it.
func TestMapForObject(t *testing.T) {
	s := New(nil)
	inner := map[string]any{"class": "com.example.Mapped", "name": "inner"}
	inner["next"] = inner
	in := map[any]any{"name": "outer", "next": inner, int32(5): "no field"}
	w := s.NewWriter(nil)
	require.NoError(t, w.Write(&in))
	w.Int(7)

	r := s.NewReader(w.Bytes(), serialize.Limits{})
	var got *mapped
	require.NoError(t, r.Read(serialize.Values{&got}))
	require.Equal(t, "outer", got.Name)
	require.Equal(t, "inner", got.Next.Name)
	require.Same(t, got.Next, got.Next.Next)
	require.Equal(t, int32(7), r.Int())
	require.NoError(t, r.Err())
	for n := range w.Bytes() {
		r := s.NewReader(w.Bytes()[:n], serialize.Limits{})
		_ = r.Read(new(mapped)) // ends, whatever is missing
	}
}
