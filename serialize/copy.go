package serialize

import (
	"math/big"
	"reflect"
)

// Copy makes *dst a copy of *src that shares nothing changeable with it, so that a call can outlive its caller. dst and
// src are pointers to the same type. Pointers that lead to the same place in src do so in dst, cycles included. What is
// not exported, functions and channels are taken over as they are.
func Copy(dst, src any) {
	d, s := reflect.ValueOf(dst), reflect.ValueOf(src)
	if d.Kind() != reflect.Pointer || d.Type() != s.Type() || d.IsNil() || s.IsNil() {
		return
	}
	c := copier{seen: map[place]reflect.Value{}}
	c.copy(d.Elem(), s.Elem())
}

// A copier remembers what has been copied to where.
type copier struct{ seen map[place]reflect.Value }

// A place is a pointer, map or slice of the source; a struct and its first field have the same address.
type place struct {
	at  uintptr
	len int
	typ reflect.Type
}

var bigInt = reflect.TypeFor[*big.Int]()

func (c *copier) copy(dst, src reflect.Value) {
	dst.Set(src)
	switch src.Kind() {
	case reflect.Interface:
		if !src.IsNil() {
			v := reflect.New(src.Elem().Type()).Elem()
			c.copy(v, src.Elem())
			dst.Set(v)
		}
	case reflect.Struct:
		for i := range src.NumField() {
			if f := dst.Field(i); f.CanSet() {
				c.copy(f, src.Field(i))
			}
		}
	case reflect.Array:
		for i := range src.Len() {
			c.copy(dst.Index(i), src.Index(i))
		}
	case reflect.Pointer, reflect.Map, reflect.Slice:
		if !src.IsNil() {
			c.copyReference(dst, src)
		}
	}
}

// copyReference copies what a pointer, map or slice leads to, once.
func (c *copier) copyReference(dst, src reflect.Value) {
	key := place{at: src.Pointer(), typ: src.Type()}
	if src.Kind() == reflect.Slice {
		key.len = src.Len()
	}
	if done, ok := c.seen[key]; ok {
		dst.Set(done)
		return
	}
	var v reflect.Value
	switch {
	case src.Type() == bigInt:
		dst.Set(reflect.ValueOf(new(big.Int).Set(src.Interface().(*big.Int))))
		return
	case src.Kind() == reflect.Pointer:
		v = reflect.New(src.Type().Elem())
		c.seen[key] = v
		c.copy(v.Elem(), src.Elem())
	case src.Kind() == reflect.Map:
		v = reflect.MakeMapWithSize(src.Type(), src.Len())
		c.seen[key] = v
		for it := src.MapRange(); it.Next(); {
			e := reflect.New(src.Type().Elem()).Elem()
			c.copy(e, it.Value())
			v.SetMapIndex(it.Key(), e)
		}
	default:
		v = reflect.MakeSlice(src.Type(), src.Len(), src.Len())
		c.seen[key] = v
		for i := range src.Len() {
			c.copy(v.Index(i), src.Index(i))
		}
	}
	dst.Set(v)
}
