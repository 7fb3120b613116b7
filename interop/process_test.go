package interop

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/interop/fleet"
)

// processOf is the environment in which this test program is a Ferry provider and nothing else, one that can be killed: words
// like those of the Java programs, a blank between them.
const processOf = "INTEROP_PROVIDER"

// process runs a Ferry provider of all services as a program of its own: registry=url who=name, and more parameters of the server.
func process(t *testing.T, words ...string) *program {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	return launch(t, t.TempDir(), "env", []string{processOf + "=" + strings.Join(words, " "), self}) // env becomes it
}

// provide is the main function of such a program.
func provide(words []string) error {
	registry, who := "", ""
	options := []ferry.Option{ferry.Param("host", "127.0.0.1")}
	for _, w := range words {
		switch k, v, _ := strings.Cut(w, "="); k {
		case "registry":
			registry = v
		case "who":
			who = v
		default:
			options = append(options, ferry.Param(k, v))
		}
	}
	s := ferry.NewServer(registry, append(options, ferry.Param("application", who))...)
	if err := fleet.Publish(s, who); err != nil {
		return err
	}
	if err := fleet.PublishGopher(s, who); err != nil {
		return err
	}
	fmt.Println("READY")
	_, _ = io.Copy(io.Discard, os.Stdin) // until the one that started it has gone or wants an end
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	return s.Close(ctx)
}
