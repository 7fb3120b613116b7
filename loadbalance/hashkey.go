package loadbalance

import (
	"fmt"
	"math"
	"reflect"
	"strconv"

	"github.com/ferryrpc/ferry/protocol"
)

// appendKey appends Java's String.valueOf of the arguments at the given positions, one behind the other; positions that
// the call does not have are skipped. For Dubbo's generic methods they are positions in the array of arguments.
func appendKey(dst []byte, c *protocol.Invocation, positions []int) []byte {
	if c == nil || c.Args == nil {
		return dst
	}
	args := c.Args
	if args.Len() == 3 && (c.Method.Name == "$invoke" || c.Method.Name == "$invokeAsync") {
		if list, ok := args.At(2).(*[]any); ok {
			for _, i := range positions {
				if i < len(*list) {
					dst = appendText(dst, (*list)[i])
				}
			}
			return dst
		}
	}
	n := args.Len()
	for _, i := range positions {
		if i < n {
			dst = appendText(dst, args.At(i))
		}
	}
	return dst
}

// AppendArgument appends Java's String.valueOf of argument i of a call, and says whether the call has one.
func AppendArgument(dst []byte, c *protocol.Invocation, i int) ([]byte, bool) {
	if c == nil || c.Args == nil {
		return dst, false
	}
	n := c.Args.Len()
	if g, ok := c.Args.(*protocol.GenericArgs); ok {
		n = len(g.Args)
	}
	if i < 0 || i >= n {
		return dst, false
	}
	return appendKey(dst, c, []int{i}), true
}

// appendText appends the text that Java's String.valueOf gives for a value or what it points to. Only texts, numbers,
// truth values and lists of them have one that both languages agree on; others get Go's text, which is the same for
// equal values.
func appendText(dst []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(dst, "null"...)
	case *string:
		if v != nil {
			return append(dst, *v...)
		}
	case string:
		return append(dst, v...)
	case *int64:
		if v != nil {
			return strconv.AppendInt(dst, *v, 10)
		}
	case *int:
		if v != nil {
			return strconv.AppendInt(dst, int64(*v), 10)
		}
	case *int32:
		if v != nil {
			return strconv.AppendInt(dst, int64(*v), 10)
		}
	case int64:
		return strconv.AppendInt(dst, v, 10)
	case int:
		return strconv.AppendInt(dst, int64(v), 10)
	case int32:
		return strconv.AppendInt(dst, int64(v), 10)
	case *bool:
		if v != nil {
			return strconv.AppendBool(dst, *v)
		}
	case *float64:
		if v != nil {
			return appendFloat(dst, *v, 64)
		}
	default:
		return appendOther(dst, reflect.ValueOf(v))
	}
	return append(dst, "null"...)
}

// appendOther serves the kinds that are rare as keys, by reflection.
func appendOther(dst []byte, v reflect.Value) []byte {
	for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		if v.IsNil() {
			return append(dst, "null"...)
		}
		if s, ok := v.Interface().(fmt.Stringer); ok {
			return append(dst, s.String()...)
		}
		v = v.Elem()
	}
	switch v.Kind() {
	case reflect.String:
		return append(dst, v.String()...)
	case reflect.Bool:
		return strconv.AppendBool(dst, v.Bool())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return strconv.AppendInt(dst, v.Int(), 10)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return strconv.AppendUint(dst, v.Uint(), 10)
	case reflect.Float32:
		return appendFloat(dst, v.Float(), 32)
	case reflect.Float64:
		return appendFloat(dst, v.Float(), 64)
	case reflect.Slice, reflect.Array:
		if v.Kind() == reflect.Slice && v.IsNil() {
			return append(dst, "null"...)
		}
		dst = append(dst, '[')
		for i := range v.Len() {
			if i > 0 {
				dst = append(dst, ", "...)
			}
			dst = appendOther(dst, v.Index(i))
		}
		return append(dst, ']')
	}
	return fmt.Append(dst, v)
}

// appendFloat writes a number as Java's Double.toString and Float.toString: plain between 0.001 and 10^7, otherwise with
// an exponent, always with a digit behind the point.
func appendFloat(dst []byte, f float64, bits int) []byte {
	abs := math.Abs(f)
	switch {
	case math.IsNaN(f):
		return append(dst, "NaN"...)
	case math.IsInf(f, 1):
		return append(dst, "Infinity"...)
	case math.IsInf(f, -1):
		return append(dst, "-Infinity"...)
	case abs == 0 || abs >= 1e-3 && abs < 1e7:
		from := len(dst)
		dst = strconv.AppendFloat(dst, f, 'f', -1, bits)
		for _, c := range dst[from:] {
			if c == '.' {
				return dst
			}
		}
		return append(dst, '.', '0')
	}
	var room [32]byte
	text := strconv.AppendFloat(room[:0], f, 'e', -1, bits) // 1.5e+10, 1e-05
	e := len(text) - 1
	for text[e] != 'e' {
		e--
	}
	dst = append(dst, text[:e]...)
	if e == 1 || e == 2 && f < 0 { // no point yet
		dst = append(dst, '.', '0')
	}
	exponent, _ := strconv.Atoi(string(text[e+1:]))
	return strconv.AppendInt(append(dst, 'E'), int64(exponent), 10)
}
