package idempotent

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"math"
	"math/big"
	"reflect"
	"slices"
	"time"

	"github.com/ferryrpc/ferry/protocol"
)

// deepest bounds the arguments that a digest is made of; values with cycles have no end.
const deepest = 64

// DigestOf returns a digest of a call's arguments: equal values have equal ones in every process and whatever format they came in.
// Maps count without their order, fields that are not exported do not count.
func DigestOf(args protocol.Row) (Digest, error) {
	d := digester{h: sha256.New()}
	if args != nil {
		for i := range args.Len() {
			d.value(reflect.ValueOf(args.At(i)), 0)
		}
	}
	if d.err != nil {
		return Digest{}, fmt.Errorf("idempotent: digest of the arguments: %w", d.err)
	}
	var sum [sha256.Size]byte
	return Digest(d.h.Sum(sum[:0])[:len(Digest{})]), nil
}

type digester struct {
	h   hash.Hash
	buf [9]byte
	err error
}

// number writes a mark that tells kinds apart, and a number.
func (d *digester) number(mark byte, n uint64) {
	d.buf[0] = mark
	binary.BigEndian.PutUint64(d.buf[1:], n)
	d.h.Write(d.buf[:])
}

func (d *digester) text(mark byte, s string) {
	d.number(mark, uint64(len(s)))
	d.h.Write([]byte(s))
}

func (d *digester) value(v reflect.Value, depth int) {
	if depth > deepest {
		d.err = fmt.Errorf("nested deeper than %d", deepest)
	}
	if d.err != nil {
		return
	}
	switch v.Kind() {
	case reflect.Invalid:
		d.number('n', 0)
	case reflect.Bool:
		n := uint64(0)
		if v.Bool() {
			n = 1
		}
		d.number('b', n)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		d.number('i', uint64(v.Int()))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		d.number('i', v.Uint())
	case reflect.Float32, reflect.Float64:
		d.number('f', math.Float64bits(v.Float()))
	case reflect.String:
		d.text('s', v.String())
	case reflect.Pointer, reflect.Interface:
		if b, ok := bigInt(v); ok {
			d.text('B', b)
			return
		}
		d.value(v.Elem(), depth+1)
	case reflect.Slice, reflect.Array:
		d.list(v, depth)
	case reflect.Map:
		d.table(v, depth)
	case reflect.Struct:
		d.fields(v, depth)
	default:
		d.err = fmt.Errorf("%v cannot be an argument", v.Type())
	}
}

func bigInt(v reflect.Value) (string, bool) {
	if !v.CanInterface() {
		return "", false
	}
	b, ok := v.Interface().(*big.Int)
	if !ok || b == nil {
		return "", false
	}
	return b.String(), true
}

// list writes a nil slice like an empty one: formats do not keep them apart.
func (d *digester) list(v reflect.Value, depth int) {
	if v.Type().Elem().Kind() == reflect.Uint8 && v.Kind() == reflect.Slice {
		d.text('y', string(v.Bytes()))
		return
	}
	d.number('l', uint64(v.Len()))
	for i := range v.Len() {
		d.value(v.Index(i), depth+1)
	}
}

func (d *digester) table(v reflect.Value, depth int) {
	sums := make([][]byte, 0, v.Len())
	for it := v.MapRange(); it.Next(); {
		one := digester{h: sha256.New()}
		one.value(it.Key(), depth+1)
		one.value(it.Value(), depth+1)
		if one.err != nil {
			d.err = one.err
			return
		}
		sums = append(sums, one.h.Sum(nil))
	}
	slices.SortFunc(sums, slices.Compare)
	d.number('m', uint64(len(sums)))
	for _, sum := range sums {
		d.h.Write(sum)
	}
}

func (d *digester) fields(v reflect.Value, depth int) {
	t := v.Type()
	if t == reflect.TypeFor[time.Time]() && v.CanInterface() {
		d.number('t', uint64(v.Interface().(time.Time).UnixMilli())) // what Dubbo's formats carry
		return
	}
	if t == reflect.TypeFor[big.Int]() && v.CanInterface() {
		b := v.Interface().(big.Int) //nolint:govet // only read
		d.text('B', b.String())
		return
	}
	for i := range t.NumField() {
		if f := t.Field(i); f.IsExported() {
			d.text('.', f.Name)
			d.value(v.Field(i), depth+1)
		}
	}
	d.number(';', 0)
}
