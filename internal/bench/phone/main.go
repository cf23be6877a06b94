// SPDX-License-Identifier: Apache-2.0

// Command phone is the mfa_command of a measurement: it prints the code that
// stands in a file, and adds a byte to another one for each time it is asked.
package main

import (
	"fmt"
	"io"
	"os"
)

func main() {
	if err := show(os.Args[1], os.Args[2], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func show(code, asked string, out io.Writer) error {
	text, err := os.ReadFile(code)
	if err != nil {
		return err
	}
	count, err := os.OpenFile(asked, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	if _, err := count.WriteString("."); err != nil {
		return err
	}
	if err := count.Close(); err != nil {
		return err
	}
	_, err = out.Write(text)
	return err
}
