package hessian2

import (
	"testing"

	"github.com/ferryrpc/ferry/serialize/serializetest"
)

func TestConformance(t *testing.T) {
	huge := []byte{tagList, tagInt, 0x7f, 0xff, 0xff, 0xff}
	serializetest.Run(t, New(serializetest.Types()), serializetest.Options{
		Values: []serializetest.Value{
			{Name: "person", In: &person{Name: "n", Address: &address{City: "杭州"}, Attrs: map[string]string{"k": "v"}}, Out: func() any { return new(person) }},
			{Name: "generated", In: sampleOrder(3), Out: func() any { return new(order) }},
			{Name: "decimal", In: ptr(Decimal("1.50")), Out: func() any { return new(Decimal) }},
			{Name: "uuid", In: &UUID{1, 2, 3}, Out: func() any { return new(UUID) }},
		},
		Hostile: []serializetest.Hostile{
			{Name: "list of 2^31", Input: huge, Out: func() any { return new([]string) }},
			{Name: "list of 2^31 for an interface", Input: huge, Out: func() any { return new(any) }},
			{Name: "fields of 2^31", Input: []byte{tagClass, 0, tagInt, 0x7f, 0xff, 0xff, 0xff}, Out: func() any { return new(any) }},
		},
	})
}
