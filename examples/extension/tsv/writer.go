package tsv

import (
	"encoding/base64"
	"fmt"
	"reflect"
	"strconv"
	"time"

	"github.com/ferryrpc/ferry/serialize"
)

// defaultClass is the class of an exception that names none.
const defaultClass = "java.lang.RuntimeException"

type writer struct{ buf []byte }

// Bytes implements serialize.Writer.
func (w *writer) Bytes() []byte { return w.buf }

// Free implements serialize.Writer.
func (w *writer) Free() { w.buf = nil }

// WriteRaw implements serialize.Writer.
func (w *writer) WriteRaw(b []byte) { w.buf = append(w.buf, b...) }

// WriteString implements serialize.Writer.
func (w *writer) WriteString(s string) { w.texts(text, s) }

// WriteMap implements serialize.Writer.
func (w *writer) WriteMap(pairs []string) { w.texts(mapping, pairs[:len(pairs)&^1]...) }

// texts appends a line of escaped fields.
func (w *writer) texts(kind byte, fields ...string) {
	w.buf = append(w.buf, kind)
	for _, f := range fields {
		w.buf = append(w.buf, '\t')
		for i := range len(f) {
			switch c := f[i]; c {
			case '\t':
				w.buf = append(w.buf, '\\', 't')
			case '\n':
				w.buf = append(w.buf, '\\', 'n')
			case '\\':
				w.buf = append(w.buf, '\\', '\\')
			default:
				w.buf = append(w.buf, c)
			}
		}
	}
	w.buf = append(w.buf, '\n')
}

// Write implements serialize.Writer.
func (w *writer) Write(v any) error {
	switch v := v.(type) {
	case nil:
		w.texts(null)
		return nil
	case serialize.Row:
		for i := range v.Len() {
			if err := w.Write(v.At(i)); err != nil {
				return err
			}
		}
		return nil
	case *string:
		w.WriteString(*v)
		return nil
	case *time.Time:
		w.texts(instant, strconv.FormatInt(v.UnixMilli(), 10))
		return nil
	case *[]byte:
		if *v == nil {
			w.texts(null)
		} else {
			w.texts(data, base64.StdEncoding.EncodeToString(*v))
		}
		return nil
	case *serialize.Exception:
		class := v.Class
		if class == "" {
			class = defaultClass
		}
		w.texts(thrown, class, v.Message)
		return nil
	}
	return w.scalar(v)
}

// scalar writes what reflection finds behind v: a scalar, or a pointer to one.
func (w *writer) scalar(v any) error {
	rv := reflect.ValueOf(v)
	if rv.Kind() == reflect.Pointer && !rv.IsNil() {
		rv = rv.Elem()
	}
	switch {
	case rv.Kind() == reflect.Pointer && rv.IsNil():
		w.texts(null)
	case rv.Kind() == reflect.Pointer:
		return w.Write(rv.Interface())
	case rv.Kind() == reflect.String:
		w.WriteString(rv.String())
	case rv.Kind() == reflect.Bool:
		w.texts(boolean, strconv.FormatBool(rv.Bool()))
	case rv.CanInt():
		w.texts(integer, strconv.FormatInt(rv.Int(), 10))
	case rv.CanFloat():
		w.texts(float, strconv.FormatFloat(rv.Float(), 'g', -1, rv.Type().Bits()))
	default:
		return fmt.Errorf("tsv: writing %T: %w", v, serialize.ErrUnsupported)
	}
	return nil
}
