package msgpack

import (
	"reflect"
	"strconv"
	"time"

	"github.com/ferryrpc/ferry/serialize"
)

// ReadString implements serialize.Reader.
func (r *Reader) ReadString() (string, error) {
	s := r.String()
	return s, r.err
}

// SkipString implements serialize.Reader.
func (r *Reader) SkipString() error {
	r.text("a string")
	return r.err
}

// ReadMap implements serialize.Reader. Nulls are left out.
func (r *Reader) ReadMap(dst []string) ([]string, error) {
	n, _ := r.Map()
	if !r.Alloc(2*n, 16) {
		return dst, r.err
	}
	for i := 0; r.Next(i, n); i++ {
		key, ok := r.scalarText()
		value, ok2 := r.scalarText()
		if ok && ok2 {
			dst = append(dst, key, value)
		}
	}
	return dst, r.err
}

// scalarText reads a value as text; ok is false for a null, a container or an extension, which is passed over.
func (r *Reader) scalarText() (text string, ok bool) {
	if r.off >= len(r.src) {
		r.code()
		return "", false
	}
	switch c := r.src[r.off]; {
	case c == codeTrue || c == codeFalse:
		return strconv.FormatBool(r.Bool()), true
	case c == codeFloat32:
		return strconv.FormatFloat(r.Float64(), 'g', -1, 32), true
	case c == codeFloat64:
		return strconv.FormatFloat(r.Float64(), 'g', -1, 64), true
	case c == codeUint64:
		return strconv.FormatUint(r.Uint64(), 10), true
	case c < fixMap || c >= codeUint8 && c <= codeInt64 || c >= negFix:
		return strconv.FormatInt(r.Int64(), 10), true
	case c&0xe0 == fixStr || c >= codeStr8 && c <= codeStr32 || c >= codeBin8 && c <= codeBin32:
		return r.String(), true
	}
	r.Skip()
	return "", false
}

// Read implements serialize.Reader.
func (r *Reader) Read(v any) error {
	if u, ok := v.(Unmarshaler); ok {
		if err := u.ReadMsgpack(r); err != nil {
			r.Fail(err)
		}
		return r.err
	}
	if r.pointer(v) {
		return r.err
	}
	switch v := v.(type) {
	case nil:
		r.Skip()
	case *any:
		*v = r.any()
	case *[]any:
		*v = nil
		if n, ok := r.Array(); ok {
			*v = r.list(n)
		}
	case *map[string]any:
		r.dictionary(v)
	case *map[any]any:
		r.anyMap(v)
	case *serialize.Exception:
		r.exception(v)
	case *serialize.Object:
		r.object(v)
	case *serialize.Pairs:
		n, _ := r.Map()
		*v = serialize.Pairs{Items: r.items(n)}
	case serialize.Row:
		for i := 0; i < v.Len() && r.err == nil; i++ {
			if err := r.Read(v.At(i)); err != nil {
				r.Fail(err)
			}
		}
	default:
		r.reflected(v)
	}
	return r.err
}

// pointer reads into what v points to when v is a pointer to one of the common types.
func (r *Reader) pointer(v any) bool {
	switch v := v.(type) {
	case *string:
		*v = r.String()
	case *int64:
		*v = r.Int64()
	case *int32:
		*v = r.Int32()
	case *int16:
		*v = r.Int16()
	case *int8:
		*v = r.Int8()
	case *int:
		*v = r.Int()
	case *uint64:
		*v = r.Uint64()
	case *uint32:
		*v = r.Uint32()
	case *bool:
		*v = r.Bool()
	case *float64:
		*v = r.Float64()
	case *float32:
		*v = r.Float32()
	case *[]byte:
		*v = r.Binary()
	case *time.Time:
		*v = r.Time()
	case *[]string:
		*v = r.strings()
	case *map[string]string:
		*v = r.stringMap()
	default:
		return false
	}
	return true
}

func (r *Reader) strings() []string {
	n, ok := r.Array()
	if !ok {
		return nil
	}
	list := MakeSlice[string](r, n)
	for i := range list {
		list[i] = r.String()
	}
	return list
}

func (r *Reader) stringMap() map[string]string {
	n, ok := r.Map()
	if !ok {
		return nil
	}
	m := MakeMap[string, string](r, n)
	for i := 0; r.Next(i, n); i++ {
		k := r.String()
		m[k] = r.String()
	}
	return m
}

// any reads a value of whatever type the input says.
func (r *Reader) any() any {
	if r.off >= len(r.src) {
		r.code()
		return nil
	}
	if !r.Alloc(1, 16) { // what boxing it takes
		return nil
	}
	switch c := r.src[r.off]; {
	case c == codeNil:
		r.Nil()
		return nil
	case c == codeTrue || c == codeFalse:
		return r.Bool()
	case c == codeFloat32 || c == codeFloat64:
		return r.Float64()
	case c == codeUint64:
		u := r.Uint64()
		if int64(u) >= 0 {
			return int64(u)
		}
		return u
	case c < fixMap || c >= codeUint8 && c <= codeInt64 || c >= negFix:
		return r.Int64()
	case c&0xe0 == fixStr || c >= codeStr8 && c <= codeStr32:
		return r.String()
	case c >= codeBin8 && c <= codeBin32:
		return r.Binary()
	case c&0xf0 == fixArray || c == codeArray16 || c == codeArray32:
		n, _ := r.Array()
		return r.list(n)
	case c&0xf0 == fixMap || c == codeMap16 || c == codeMap32:
		return r.mapping()
	}
	return r.Time() // the only extension there is
}

func (r *Reader) list(n int) []any {
	list := MakeSlice[any](r, n)
	for i := 0; r.Next(i, len(list)); i++ {
		list[i] = r.any()
	}
	return list
}

// mapping reads a map for an interface: an object when its first key says so.
func (r *Reader) mapping() any {
	if class, ok := r.peekClass(); ok {
		rt, known := r.s.types.Type(class)
		if !known {
			o := new(serialize.Object)
			r.object(o)
			return o
		}
		if !r.Alloc(1, int(rt.Size())) {
			return nil
		}
		p := reflect.New(rt).Interface()
		r.Fail(r.Read(p))
		return p
	}
	n, ok := r.Map()
	if !ok || !r.Alloc(n, 48) {
		return nil
	}
	m := make(map[string]any, n)
	for i := 0; r.Next(i, n); i++ {
		if !r.atString() {
			return r.mixed(m, i, n)
		}
		k := r.String()
		m[k] = r.any()
	}
	return m
}

// atString says whether the next value is a string.
func (r *Reader) atString() bool {
	if r.off >= len(r.src) {
		return false
	}
	c := r.src[r.off]
	return c&0xe0 == fixStr || c >= codeStr8 && c <= codeStr32
}

// mixed goes on reading a map of n entries, i of which are in m, whose keys are not all strings.
func (r *Reader) mixed(m map[string]any, i, n int) any {
	items := make([]serialize.Pair, 0, n)
	for k, v := range m {
		items = append(items, serialize.Pair{Key: k, Value: v})
	}
	rest := r.items(n - i)
	items = append(items, rest...)
	out := make(map[any]any, n)
	for _, it := range items {
		if it.Key != nil && !reflect.TypeOf(it.Key).Comparable() {
			return &serialize.Pairs{Items: items}
		}
		out[it.Key] = it.Value
	}
	return out
}

// items reads n entries of a map.
func (r *Reader) items(n int) []serialize.Pair {
	items := MakeSlice[serialize.Pair](r, n)
	for i := 0; r.Next(i, len(items)); i++ {
		items[i].Key = r.any()
		items[i].Value = r.any()
	}
	return items
}

func (r *Reader) dictionary(v *map[string]any) {
	*v = nil
	n, ok := r.Map()
	if !ok || !r.Alloc(n, 48) {
		return
	}
	*v = make(map[string]any, n)
	for i := 0; r.Next(i, n); i++ {
		k := r.String()
		(*v)[k] = r.any()
	}
}

func (r *Reader) anyMap(v *map[any]any) {
	*v = nil
	n, ok := r.Map()
	if !ok || !r.Alloc(n, 64) {
		return
	}
	*v = make(map[any]any, n)
	for i := 0; r.Next(i, n); i++ {
		k := r.any()
		value := r.any()
		if k != nil && !reflect.TypeOf(k).Comparable() {
			r.fail("a map key", serialize.ErrMalformed)
			return
		}
		(*v)[k] = value
	}
}
