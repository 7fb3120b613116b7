//go:build !unix

package main

import (
	"errors"
	"os"
)

var errSignals = errors.New("chaos needs the signals of a Unix system")

func stopProcess(*os.Process) error      { return errSignals }
func continueProcess(*os.Process) error  { return errSignals }
func terminateProcess(*os.Process) error { return errSignals }
