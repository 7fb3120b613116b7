package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// parseReturn reads what stands behind return.
func (k *mock) parseReturn(text string) error {
	k.kind, k.text = mockReturn, text
	if text == "" {
		k.text = "null"
		return nil
	}
	if n := len(text); n >= 2 && (text[0] == '"' || text[0] == '\'') && text[n-1] == text[0] {
		k.text, k.quoted = text[1:n-1], true
		return nil
	}
	if text[0] != '{' && text[0] != '[' {
		return nil
	}
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&k.value); err != nil {
		return fmt.Errorf("bad JSON: %w", err)
	}
	if d.More() {
		return errors.New("bad JSON: something follows the value")
	}
	k.value = numbers(k.value)
	return nil
}

// numbers turns JSON's numbers into whole numbers where they are.
func numbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		f, _ := v.Float64()
		return f
	case []any:
		for i := range v {
			v[i] = numbers(v[i])
		}
	case map[string]any:
		for key := range v {
			v[key] = numbers(v[key])
		}
	}
	return v
}

// fill stores the mock's value where p points to.
func (m *Mock) fill(k *mock, p any) error {
	v := reflect.ValueOf(p)
	if v.Kind() != reflect.Pointer || v.IsNil() {
		return fmt.Errorf("the reply is a %T", p)
	}
	v = v.Elem()
	v.SetZero()
	if !k.quoted {
		switch k.text {
		case "null":
			return nil
		case "empty":
			setEmpty(v)
			return nil
		}
	}
	target := v
	for target.Kind() == reflect.Pointer && isScalar(target.Type().Elem()) { // a wrapper
		target.Set(reflect.New(target.Type().Elem()))
		target = target.Elem()
	}
	switch {
	case target.Kind() == reflect.String:
		target.SetString(k.text)
		return nil
	case k.value == nil && isScalar(target.Type()):
		return setScalar(target, k.text)
	case k.value == nil && target.Kind() == reflect.Interface && target.NumMethod() == 0:
		target.Set(reflect.ValueOf(k.loose()))
		return nil
	case k.value == nil:
		return fmt.Errorf("%q does not become a %s", k.text, v.Type())
	case m.config.Convert == nil:
		return json.Unmarshal([]byte(k.text), p)
	}
	return m.config.Convert(k.value, p)
}

// loose is the value of a text whose type nobody knows.
func (k *mock) loose() any {
	if k.quoted {
		return k.text
	}
	if b := k.text == "true"; b || k.text == "false" {
		return b
	}
	if n, err := strconv.ParseInt(k.text, 10, 64); err == nil {
		return n
	}
	if f, err := strconv.ParseFloat(k.text, 64); err == nil {
		return f
	}
	return k.text
}

func setEmpty(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 0, 0))
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
	}
}

func isScalar(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Bool, reflect.String, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Uint, reflect.Uint8,
		reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Float32, reflect.Float64:
		return true
	}
	return false
}

func setScalar(v reflect.Value, text string) (err error) {
	switch {
	case v.Kind() == reflect.Bool:
		var b bool
		if b, err = strconv.ParseBool(text); err == nil {
			v.SetBool(b)
		}
	case v.CanInt():
		var n int64
		if n, err = strconv.ParseInt(text, 10, v.Type().Bits()); err == nil {
			v.SetInt(n)
		}
	case v.CanUint():
		var n uint64
		if n, err = strconv.ParseUint(text, 10, v.Type().Bits()); err == nil {
			v.SetUint(n)
		}
	case v.CanFloat():
		var f float64
		if f, err = strconv.ParseFloat(text, v.Type().Bits()); err == nil {
			v.SetFloat(f)
		}
	}
	if err != nil {
		return fmt.Errorf("%q does not become a %s", text, v.Type())
	}
	return nil
}
