package piccolo_test

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/piccolo-counter/piccolo"

// pkg is a package as go list describes it, tests left out.
type pkg struct {
	ImportPath string
	Standard   bool
	Imports    []string
	Module     *struct{ Path string }
}

// goList returns what go list prints.
func goList(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", append([]string{"list"}, args...)...).Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("go list %q: %v: %s", args, err, exit.Stderr)
		}
		t.Fatal(err)
	}
	return string(out)
}

// deps are the packages that go into one, itself included.
func deps(t *testing.T, path string) (all []pkg) {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(goList(t, "-deps", "-json=ImportPath,Standard,Imports,Module", path)))
	for {
		var p pkg
		if err := dec.Decode(&p); err == io.EOF {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// The root package holds the nouns and knows no technology.
func TestNounsKnowNoTechnology(t *testing.T) {
	allowed := []string{module, "github.com/cespare/xxhash/v2", "google.golang.org/protobuf"}
	for _, p := range deps(t, ".") {
		switch {
		case p.Standard && (p.ImportPath == "net/http" || p.ImportPath == "database/sql"):
			t.Errorf("it takes %s", p.ImportPath)
		case !p.Standard && !slices.Contains(allowed, p.Module.Path):
			t.Errorf("it takes %s", p.ImportPath)
		case p.Module != nil && p.Module.Path == module && p.ImportPath != module:
			t.Errorf("it takes %s of this module", p.ImportPath)
		}
	}
}

// Each part of the service may import the nouns, and never another part: the
// command ties them together. One technology lives in one of them.
func TestPartsMeetInTheCommandAlone(t *testing.T) {
	const command = module + "/cmd/piccolo"
	homes := map[string]string{ // of technologies, by how their import paths start
		"github.com/nats-io/":          module + "/bus",
		"modernc.org/":                 module + "/sqlite",
		"database/sql":                 module + "/sqlite",
		"github.com/valyala/fasthttp":  module + "/actors/ingress",
		"github.com/prometheus/":       module + "/actors/admin",
		"github.com/oklog/run":         command,
		"github.com/alecthomas/":       command,
		"github.com/coreos/go-systemd": command,
		"go.yaml.in/":                  command,
	}
	used := make(map[string]bool)
	for _, p := range deps(t, "./cmd/piccolo") {
		if p.Module == nil || p.Module.Path != module {
			continue
		}
		for _, i := range p.Imports {
			ours := i != module && strings.HasPrefix(i, module) && !strings.HasPrefix(i, module+"/internal/")
			if ours && p.ImportPath != command {
				t.Errorf("%s imports %s", p.ImportPath, i)
			}
			for technology, home := range homes {
				if !strings.HasPrefix(i, technology) {
					continue
				}
				used[technology] = true
				if p.ImportPath != home {
					t.Errorf("%s imports %s, which lives in %s", p.ImportPath, i, home)
				}
			}
		}
	}
	for technology := range homes {
		if !used[technology] {
			t.Errorf("nothing imports %s: is the rule still right?", technology)
		}
	}
}

// Who takes the client into a program takes nothing else.
func TestClientTakesTheStandardLibraryAlone(t *testing.T) {
	for _, p := range deps(t, "./client") {
		if !p.Standard && p.ImportPath != module+"/client" {
			t.Errorf("it takes %s", p.ImportPath)
		}
	}
}

// SQLite is C, translated for one version of the library that stands in for
// libc, and is tested by its authors with no other.
func TestLibcIsTheOneThatSQLiteAsksFor(t *testing.T) {
	goMod, err := os.ReadFile(strings.TrimSpace(goList(t, "-m", "-f", "{{.GoMod}}", "modernc.org/sqlite")))
	if err != nil {
		t.Fatal(err)
	}
	asked := regexp.MustCompile(`modernc\.org/libc (v\S+)`).FindSubmatch(goMod)
	if asked == nil {
		t.Fatal("modernc.org/sqlite asks for no libc: is the rule still right?")
	}
	if got := strings.TrimSpace(goList(t, "-m", "-f", "{{.Version}}", "modernc.org/libc")); got != string(asked[1]) {
		t.Errorf("modernc.org/libc is %s, modernc.org/sqlite asks for %s: go get modernc.org/libc@%s", got, asked[1], asked[1])
	}
}
