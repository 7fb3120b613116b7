package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTheOtherOneTakesOver(t *testing.T) {
	program := filepath.Join(t.TempDir(), "standby")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	said, err := build.CombinedOutput()
	require.NoError(t, err, "%s", said)
	said, err = exec.CommandContext(t.Context(), program).CombinedOutput()
	require.NoError(t, err, "%s", said)
	require.Regexp(t, regexp.MustCompile(`(?s)a active in epoch .*b is killed.*b is frozen.*a is killed.*b active in epoch .*b is frozen.*a active in epoch .*b goes on.*b standby: lease lost`), string(said))
}
