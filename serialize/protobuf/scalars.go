package protobuf

import (
	"math"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// scalar reads into what v points to when that is a scalar; a null is the zero value.
func (r *reader) scalar(v any) bool {
	switch v := v.(type) {
	case *string:
		*v, _ = r.ReadString()
	case *int64:
		*v, _ = r.integer(math.MinInt64, math.MaxInt64)
	case *int32:
		*v = narrow[int32](r, math.MinInt32, math.MaxInt32)
	case *int16:
		*v = narrow[int16](r, math.MinInt16, math.MaxInt16)
	case *int8:
		*v = narrow[int8](r, math.MinInt8, math.MaxInt8)
	case *int:
		*v = narrow[int](r, math.MinInt, math.MaxInt)
	case *uint32:
		*v = narrow[uint32](r, 0, math.MaxUint32)
	case *uint64:
		*v, _ = r.uint64()
	case *bool:
		*v, _ = r.bool()
	case *float32:
		*v, _ = r.float32()
	case *float64:
		*v, _ = r.float64()
	case *[]byte:
		*v = r.binary()
	case *time.Time:
		*v, _ = r.time()
	default:
		return false
	}
	return true
}

func narrow[T int | int8 | int16 | int32 | uint32](r *reader, low, high int64) T {
	n, _ := r.integer(low, high)
	return T(n)
}

// pointer reads into what v points to when that is a pointer to a scalar; a null is nil.
func (r *reader) pointer(v any) bool {
	switch v := v.(type) {
	case **string:
		f, ok := r.wrapped("a string", protowire.BytesType)
		*v = some(r.text("a string", f.bytes), ok)
	case **int64:
		*v = some(r.integer(math.MinInt64, math.MaxInt64))
	case **int32:
		n, ok := r.integer(math.MinInt32, math.MaxInt32)
		*v = some(int32(n), ok)
	case **int16:
		n, ok := r.integer(math.MinInt16, math.MaxInt16)
		*v = some(int16(n), ok)
	case **int8:
		n, ok := r.integer(math.MinInt8, math.MaxInt8)
		*v = some(int8(n), ok)
	case **int:
		n, ok := r.integer(math.MinInt, math.MaxInt)
		*v = some(int(n), ok)
	case **uint32:
		n, ok := r.integer(0, math.MaxUint32)
		*v = some(uint32(n), ok)
	case **uint64:
		*v = some(r.uint64())
	case **bool:
		*v = some(r.bool())
	case **float32:
		*v = some(r.float32())
	case **float64:
		*v = some(r.float64())
	case **time.Time:
		*v = some(r.time())
	default:
		return false
	}
	return true
}

func (r *reader) uint64() (uint64, bool) {
	f, ok := r.wrapped("an integer", protowire.VarintType)
	return f.number, ok
}

func (r *reader) bool() (bool, bool) {
	f, ok := r.wrapped("a boolean", protowire.VarintType)
	return protowire.DecodeBool(f.number), ok
}

// some returns a pointer to v, or nil.
func some[T any](v T, ok bool) *T {
	if !ok {
		return nil
	}
	return &v
}
