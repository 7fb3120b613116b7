package proxy_test

import (
	"context"
	"math/big"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/proxy"
)

type named struct{}

func (named) JavaClassName() string { return "com.example.Outer$Inner" }

type bare struct{}

type (
	endless  []endless
	pointing *pointing
	color    int32
)

func TestDescriptor(t *testing.T) {
	for want, types := range map[string][]reflect.Type{
		"Z":                         {reflect.TypeFor[bool]()},
		"B":                         {reflect.TypeFor[int8]()},
		"S":                         {reflect.TypeFor[int16]()},
		"I":                         {reflect.TypeFor[int32](), reflect.TypeFor[color]()},
		"J":                         {reflect.TypeFor[int](), reflect.TypeFor[int64](), reflect.TypeFor[time.Duration]()},
		"F":                         {reflect.TypeFor[float32]()},
		"D":                         {reflect.TypeFor[float64]()},
		"[B":                        {reflect.TypeFor[[]byte](), reflect.TypeFor[*[]byte]()},
		"Ljava/lang/String;":        {reflect.TypeFor[string](), reflect.TypeFor[*string]()},
		"Ljava/lang/Boolean;":       {reflect.TypeFor[*bool]()},
		"Ljava/lang/Byte;":          {reflect.TypeFor[*int8]()},
		"Ljava/lang/Short;":         {reflect.TypeFor[*int16]()},
		"Ljava/lang/Integer;":       {reflect.TypeFor[*int32]()},
		"Ljava/lang/Long;":          {reflect.TypeFor[*int]()},
		"Ljava/lang/Float;":         {reflect.TypeFor[*float32]()},
		"Ljava/lang/Double;":        {reflect.TypeFor[*float64]()},
		"Ljava/lang/Object;":        {reflect.TypeFor[any]()},
		"Ljava/util/Date;":          {reflect.TypeFor[time.Time](), reflect.TypeFor[*time.Time]()},
		"Ljava/math/BigInteger;":    {reflect.TypeFor[*big.Int](), reflect.TypeFor[big.Int]()},
		"Ljava/util/List;":          {reflect.TypeFor[[]string](), reflect.TypeFor[[][]*named](), reflect.TypeFor[[2]int]()},
		"Ljava/util/Map;":           {reflect.TypeFor[map[string]any](), reflect.TypeFor[map[named]named]()},
		"Lcom/example/Outer$Inner;": {reflect.TypeFor[named](), reflect.TypeFor[*named](), reflect.TypeFor[**named]()},
		"Lproxy_test/bare;":         {reflect.TypeFor[bare]()},
		"": {reflect.TypeFor[uint](), reflect.TypeFor[uint64](), reflect.TypeFor[uintptr](), reflect.TypeFor[complex64](), reflect.TypeFor[chan int](),
			reflect.TypeFor[func()](), reflect.TypeFor[[]func()](), reflect.TypeFor[[]uint16](), reflect.TypeFor[error](), reflect.TypeFor[context.Context](),
			reflect.TypeFor[struct{ A int }](), reflect.TypeFor[endless](), reflect.TypeFor[pointing]()},
	} {
		for _, typ := range types {
			got, err := proxy.Descriptor(typ)
			require.Equal(t, want, got, typ)
			if want == "" {
				require.ErrorIs(t, err, proxy.ErrType, typ)
				require.ErrorContains(t, err, typ.String()+" has no Java type")
			} else {
				require.NoError(t, err)
			}
		}
	}
}
