// SPDX-License-Identifier: Apache-2.0

package archtest

import (
	"go/ast"
	"regexp"
	"strings"
)

// hidden matches what makes a function depend on more than its arguments.
// Programs may use it, at their edge; packages take it as an option.
var hidden = regexp.MustCompile(`^(` +
	`os\.(Getenv|LookupEnv|Environ|Setenv|Unsetenv|ExpandEnv|Args|Exit|Stdin|Stdout|Stderr|UserHomeDir|UserConfigDir|UserCacheDir|Executable)|` +
	`syscall\.(Getenv|Environ|Exit)|unix\.(Getenv|Environ|Exit)|` +
	`time\.(Now|Sleep|After|Since|Until|Tick)|` +
	`context\.(TODO|Background)|` +
	`slog\.(Default|SetDefault|Debug|Info|Warn|Error)|log\.\w+|` +
	`fmt\.Print(f|ln)?` +
	`)$`)

// banned matches what not even a program may use.
var banned = regexp.MustCompile(`^(context\.TODO|log\.(Fatal|Panic)(f|ln)?)$`)

// excuse is how a line says, to the linter too, why it may stand.
var excuse = regexp.MustCompile(`//nolint:forbidigo // \w`)

func surroundingsRules() []rule {
	return []rule{
		{
			name:  "hidden inputs",
			check: hiddenInputs,
			plant: map[string]string{
				"broker/a.go": `package broker; import ("os"; t "time"); var _, _ = os.Getenv("X"), t.Now()
					var _ = os.Args //nolint:forbidigo // because`,
				"broker/a_test.go": `package broker; import "time"; var _ = time.Now()`,
				"cmd/broker/a.go":  `package main; import ("os"; "context"); var _, _ = os.Args, context.TODO()`,
			},
			want: []string{"os.Getenv", "time.Now", "context.TODO"},
		},
		{
			name:  "no shell",
			check: noShell,
			plant: map[string]string{
				"broker/a.go": `package broker; import "os/exec"
					var _ = exec.Command("sh", "-c", "true")
					var _ = exec.CommandContext(nil, "/bin/bash", "x")
					var _ = exec.Command("/usr/bin/true")`,
			},
			want: []string{"starts a shell", "starts a shell"},
		},
		{
			name:  "errors by text",
			check: errorsByText,
			plant: map[string]string{
				"broker/a.go": `package broker; import "strings"
					func f(err error) bool { return strings.Contains(err.Error(), "locked") }
					func g(err error) bool { return err.Error() == "locked" }`,
			},
			want: []string{"decides by the text of an error", "decides by the text of an error"},
		},
		{
			name:  "platform in file names",
			check: platformFiles,
			plant: map[string]string{
				"broker/a.go": `package broker; import "runtime"; var _ = runtime.GOOS == "linux"`,
			},
			want: []string{"runtime.GOOS"},
		},
	}
}

func hiddenInputs(tr tree) []string {
	var found []string
	tr.production(func(s source) {
		lines := strings.Split(string(s.text), "\n")
		s.selectors(func(sel *ast.SelectorExpr, name string) {
			forbidden := hidden
			if s.program() {
				forbidden = banned
			}
			line := lines[tr.fset.Position(sel.Pos()).Line-1]
			if forbidden.MatchString(name) && !excuse.MatchString(line) {
				found = append(found, tr.at(sel.Pos(), "%s is an input that no caller can see", name))
			}
		})
	})
	return found
}

func noShell(tr tree) []string {
	shell := regexp.MustCompile(`^"(/usr)?(/bin/)?(ba|da|z)?sh"$`)
	var found []string
	tr.production(func(s source) {
		ast.Inspect(s.file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			fun, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || fun.Sel.Name != "Command" && fun.Sel.Name != "CommandContext" {
				return true
			}
			for _, arg := range call.Args {
				if lit, ok := arg.(*ast.BasicLit); ok && shell.MatchString(lit.Value) {
					found = append(found, tr.at(lit.Pos(), "%s starts a shell", fun.Sel.Name))
				}
			}
			return true
		})
	})
	return found
}

// errorsByText finds err.Error() compared, or searched by package strings.
func errorsByText(tr tree) []string {
	isText := func(e ast.Expr) bool {
		call, ok := e.(*ast.CallExpr)
		if !ok || len(call.Args) != 0 {
			return false
		}
		sel, ok := call.Fun.(*ast.SelectorExpr)
		return ok && sel.Sel.Name == "Error"
	}
	var found []string
	tr.production(func(s source) {
		if s.support() {
			return // tests say what an error's text must have
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			var operands []ast.Expr
			switch n := n.(type) {
			case *ast.BinaryExpr:
				if op := n.Op.String(); op == "==" || op == "!=" {
					operands = []ast.Expr{n.X, n.Y}
				}
			case *ast.CallExpr:
				sel, ok := n.Fun.(*ast.SelectorExpr)
				if ok && (strings.HasPrefix(sel.Sel.Name, "Contains") || strings.HasPrefix(sel.Sel.Name, "Has") || sel.Sel.Name == "EqualFold") {
					operands = n.Args
				}
			}
			for _, operand := range operands {
				if isText(operand) {
					found = append(found, tr.at(operand.Pos(), "decides by the text of an error: use errors.Is or errors.As"))
				}
			}
			return true
		})
	})
	return found
}

func platformFiles(tr tree) []string {
	var found []string
	tr.production(func(s source) {
		s.selectors(func(sel *ast.SelectorExpr, name string) {
			if name == "runtime.GOOS" {
				found = append(found, tr.at(sel.Pos(), "runtime.GOOS in logic: give each platform a file"))
			}
		})
	})
	return found
}
