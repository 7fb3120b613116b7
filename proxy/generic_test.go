package proxy

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/protocol"
)

func TestTypeNamesReverseDescriptor(t *testing.T) {
	for _, names := range [][]string{
		{}, {"int"}, {"java.lang.String"}, {"int", "java.lang.String[]", "byte[][]", "boolean", "com.example.Outer$Inner", "double", "char", "short", "float", "long"},
	} {
		require.Equal(t, names, typeNames(protocol.Descriptor(names)))
	}
	for _, bad := range []string{"[", "Lcom/example", "Q", "[["} {
		require.Empty(t, typeNames(bad), bad)
	}
}
