package serialize

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestJavaName(t *testing.T) {
	for name, want := range map[string]string{"": "", "Name": "name", "ID": "id", "IDs": "ids", "UserID": "userID", "URLPath": "urlPath",
		"HTTPServer": "httpServer", "X": "x", "already": "already", "Ünder": "ünder"} {
		require.Equal(t, want, JavaName(name), name)
	}
}
