package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"time"
)

// document is where results are kept. Each stands between two comments that
// name it, and only what is between them is ever replaced.
const document = "docs/performance.md"

// publish prints a section and, where that is asked for, puts it into the
// document, with its plots beside that.
func (b *bench) publish(name, section string, plots map[string]string) error {
	section = strings.TrimSpace(section) + "\n\n" + machine() + "\n"
	fmt.Println(section)
	if !b.Write {
		return nil
	}
	for file, svg := range plots {
		if svg == "" {
			continue
		}
		if err := os.WriteFile(filepath.Join("docs", file), []byte(svg), 0o644); err != nil {
			return err
		}
	}
	old, err := os.ReadFile(document)
	if err != nil {
		return err
	}
	begin, end := "<!-- bench:"+name+" -->\n", "<!-- /bench:"+name+" -->"
	before, rest, ok1 := strings.Cut(string(old), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok1 || !ok2 {
		return fmt.Errorf("%s has no place for it: it needs the lines %s and %s", document, strings.TrimSpace(begin), end)
	}
	return os.WriteFile(document, []byte(before+begin+section+end+after), 0o644)
}

var cpuModel = regexp.MustCompile(`model name\s*:\s*(.*)`)

// machine says where and when figures were taken.
func machine() string {
	model := "unknown CPU"
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if m := cpuModel.FindSubmatch(info); m != nil {
			model = string(m[1])
		}
	}
	kernel, _ := exec.Command("uname", "-r").Output()
	return fmt.Sprintf("*%s: %d cores of %s, Linux %s, %s.*", time.Now().Format("2006-01-02 15:04"), runtime.NumCPU(), model,
		strings.TrimSpace(string(kernel)), runtime.Version())
}
