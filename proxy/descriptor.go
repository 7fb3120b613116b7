package proxy

import (
	"fmt"
	"math/big"
	"reflect"
	"strings"
	"time"
)

// Descriptor returns the JVM descriptor of the Java type that a Go type stands for: int64 is J, *int64 is
// Ljava/lang/Long;, a struct is its Java class (its JavaClassName method, or else its package and name).
func Descriptor(t reflect.Type) (string, error) { return descriptor(t, t, 0) }

// deepest is how many slices and pointers a type may consist of; one that contains itself has no end.
const deepest = 32

func descriptor(whole, t reflect.Type, depth int) (string, error) {
	if depth > deepest {
		return "", fmt.Errorf("%w: %v has no Java type: it has no end", ErrType, whole)
	}
	switch t {
	case reflect.TypeFor[time.Time]():
		return "Ljava/util/Date;", nil
	case reflect.TypeFor[*big.Int](), reflect.TypeFor[big.Int]():
		return "Ljava/math/BigInteger;", nil
	case reflect.TypeFor[[]byte]():
		return "[B", nil
	}
	switch t.Kind() {
	case reflect.Slice, reflect.Array:
		if _, err := descriptor(whole, t.Elem(), depth+1); err != nil {
			return "", err
		}
		return "Ljava/util/List;", nil
	case reflect.Map:
		return "Ljava/util/Map;", nil
	case reflect.Interface:
		if t.NumMethod() == 0 {
			return "Ljava/lang/Object;", nil
		}
	case reflect.Struct:
		if t.Name() == "" {
			break
		}
		return "L" + strings.ReplaceAll(class(t), ".", "/") + ";", nil
	case reflect.Pointer:
		if d := scalar(t.Elem().Kind()); d != "" {
			return boxed(d), nil
		}
		return descriptor(whole, t.Elem(), depth+1)
	default:
		if d := scalar(t.Kind()); d != "" {
			return d, nil
		}
	}
	return "", fmt.Errorf("%w: %v has no Java type", ErrType, whole)
}

func class(t reflect.Type) string {
	if n, ok := reflect.New(t).Interface().(interface{ JavaClassName() string }); ok {
		return n.JavaClassName()
	}
	return t.String()
}

func scalar(k reflect.Kind) string {
	switch k {
	case reflect.Bool:
		return "Z"
	case reflect.Int8:
		return "B"
	case reflect.Int16:
		return "S"
	case reflect.Int32:
		return "I"
	case reflect.Int, reflect.Int64:
		return "J"
	case reflect.Float32:
		return "F"
	case reflect.Float64:
		return "D"
	case reflect.String:
		return "Ljava/lang/String;"
	}
	return ""
}

// boxed is the wrapper class of a scalar: what may be null in Java.
func boxed(descriptor string) string {
	names := map[string]string{"Z": "Boolean", "B": "Byte", "S": "Short", "I": "Integer", "J": "Long", "F": "Float", "D": "Double"}
	if n, ok := names[descriptor]; ok {
		return "Ljava/lang/" + n + ";"
	}
	return descriptor
}
