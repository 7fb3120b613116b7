package protocol

import (
	"context"
	"errors"
	"strings"
)

// Methods that every service has (Dubbo, CommonConstants).
const (
	GenericInvoke      = "$invoke"
	GenericInvokeAsync = "$invokeAsync"
	Echo               = "$echo"
	// GenericDescriptor is the parameters of $invoke and $invokeAsync: method, parameter types, arguments.
	GenericDescriptor = "Ljava/lang/String;[Ljava/lang/String;[Ljava/lang/Object;"
	// EchoDescriptor is the parameter of $echo.
	EchoDescriptor = "Ljava/lang/Object;"
)

// GenericArgs are the arguments of $invoke.
type GenericArgs struct {
	Method string
	Types  []string // Java names: int, java.lang.String, java.lang.String[]
	Args   []any
}

// Len implements Row.
func (*GenericArgs) Len() int { return 3 }

// At implements Row.
func (g *GenericArgs) At(i int) any {
	switch i {
	case 0:
		return &g.Method
	case 1:
		return &g.Types
	}
	return &g.Args
}

// Array implements serialize.Arrays: Java declares both as arrays, and dubbo-go takes no list for the second.
func (*GenericArgs) Array(i int) string { return [...]string{"", "string", "object"}[i] }

// AnyRow is a Row of one value of any type.
type AnyRow struct{ Value any }

// Len implements Row.
func (*AnyRow) Len() int { return 1 }

// At implements Row.
func (r *AnyRow) At(int) any { return &r.Value }

// ErrGeneric means that a protocol was asked to run $invoke itself; a protocol's server turns it into the call it names.
var ErrGeneric = errors.New("protocol: $invoke is not a method of the service")

// NewGenericMethod describes $invoke of a service. Args are *GenericArgs, Reply is *AnyRow.
func NewGenericMethod(service string) *Method {
	m := &Method{Service: service, Name: GenericInvoke, Descriptor: GenericDescriptor, Return: EchoDescriptor, Index: -1,
		Serve: func(context.Context, any, *Invocation) error { return ErrGeneric },
		Clone: func(args Row) Row { c := *args.(*GenericArgs); return &c }}
	m.New = func() *Invocation { return &Invocation{Method: m, Args: &GenericArgs{}, Reply: &AnyRow{}} }
	return m
}

// NewEchoMethod describes $echo of a service, which returns its argument. Args and Reply are *AnyRow.
func NewEchoMethod(service string) *Method {
	m := &Method{Service: service, Name: Echo, Descriptor: EchoDescriptor, Return: EchoDescriptor, Index: -1, Idempotent: true,
		Clone: func(args Row) Row { c := *args.(*AnyRow); return &c }}
	m.New = func() *Invocation { return &Invocation{Method: m, Args: &AnyRow{}, Reply: &AnyRow{}} }
	m.Serve = func(_ context.Context, _ any, c *Invocation) error {
		c.Reply.(*AnyRow).Value = c.Args.(*AnyRow).Value
		return nil
	}
	return m
}

// NewDescribeMethod describes getMetadataInfo of Dubbo's MetadataService, which tells what the provider with a revision
// offers. Args and Reply are *AnyRow.
func NewDescribeMethod(service string) *Method {
	m := NewEchoMethod(service)
	m.Name, m.Descriptor, m.Return, m.Serve = "getMetadataInfo", "Ljava/lang/String;", "Lorg/apache/dubbo/metadata/MetadataInfo;", nil
	return m
}

// primitive returns the descriptor of a primitive type or void, or the empty string.
func primitive(name string) string {
	switch name {
	case "void":
		return "V"
	case "boolean":
		return "Z"
	case "byte":
		return "B"
	case "char":
		return "C"
	case "short":
		return "S"
	case "int":
		return "I"
	case "long":
		return "J"
	case "float":
		return "F"
	case "double":
		return "D"
	}
	return ""
}

// Descriptor turns Java type names, as $invoke carries them, into a JVM descriptor: int and java.lang.String[] become
// I[Ljava/lang/String;. Names in descriptor form ([Ljava.lang.String;) are accepted too.
func Descriptor(types []string) string {
	var b strings.Builder
	for _, t := range types {
		t = strings.TrimSpace(t)
		if strings.HasPrefix(t, "[") {
			b.WriteString(strings.ReplaceAll(t, ".", "/"))
			continue
		}
		for strings.HasSuffix(t, "[]") {
			b.WriteByte('[')
			t = strings.TrimSuffix(t, "[]")
		}
		if p := primitive(t); p != "" {
			b.WriteString(p)
			continue
		}
		b.WriteString("L" + strings.ReplaceAll(t, ".", "/") + ";")
	}
	return b.String()
}

// FindMethod returns the method that a generic call means: by name and parameter types, or by its name alone when types
// is nil and no other method has it.
func (i *Interface) FindMethod(name string, types []string) *Method {
	var found *Method
	descriptor := Descriptor(types)
	for _, m := range i.Methods {
		switch {
		case m.Name != name:
		case types != nil && m.Descriptor == descriptor:
			return m
		case types == nil && found != nil:
			return nil
		case types == nil:
			found = m
		}
	}
	return found
}
