package zkembed_test

import (
	"testing"
	"time"

	"github.com/ferryrpc/ferry/internal/zktest"
)

// real serves the tests that leave it running.
var real = zktest.Shared{Options: zktest.Options{Tick: 100 * time.Millisecond}}

func TestMain(m *testing.M) { real.Main(m) }
