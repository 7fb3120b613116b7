package proxy_test

import (
	"testing"

	"github.com/ferryrpc/ferry/internal/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }
