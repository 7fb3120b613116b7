//go:build !unix

package main

import (
	"errors"
	"os"
)

// freeze needs signals that this system does not have.
func freeze(*os.Process) (thaw func() error, err error) {
	return nil, errors.New("tickets: processes cannot be frozen on this system")
}
