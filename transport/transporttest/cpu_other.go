//go:build !unix

package transporttest

import "time"

// processTime is not known here.
func processTime() time.Duration { return 0 }
